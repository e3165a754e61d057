// What expressions ask of the key memory, and what is told to it of the rows they are for.
#pragma once

#include <cstdint>
#include <string>

#include "proto/value.hpp"

namespace tidegate {

class KeyAnswers {
 public:
  virtual ~KeyAnswers() = default;

  // Each may throw: the expression fails then. Used from several threads.
  virtual std::int64_t surrogate(const std::string& entity, const Row& key) = 0;
  // The remembered one, or `made`.
  virtual std::string uuid(const std::string& entity, const Row& key, const std::string& made) = 0;
  // The one that the target gave to a row that was born there, or `made`, which is not remembered.
  virtual std::string paired_uuid(const std::string& entity, const Row& key, const std::string& made) = 0;
  // `column`: "public.users.email".
  virtual std::string unique_value(const std::string& column, const std::string& value, const Row& key) = 0;

  // An answer could not be had, which says nothing of the row that asked: throws what was the matter.
  virtual void rethrow_failure() = 0;

  // Around the evaluation of a source row: unique values that it held and does not ask for are free again,
  // unless not everything could be evaluated.
  virtual void begin_row(std::string owner) = 0;
  virtual void end_row(bool asked_all) = 0;
  virtual void row_is_gone(const std::string& owner) = 0;
  virtual void table_is_empty(const std::string& table) = 0;
};

// Of who only looks: nothing is given out, so nothing is free again.
class LookedUpAnswers : public KeyAnswers {
 public:
  void begin_row(std::string) override {}
  void end_row(bool) override {}
  void row_is_gone(const std::string&) override {}
  void table_is_empty(const std::string&) override {}
};

}  // namespace tidegate
