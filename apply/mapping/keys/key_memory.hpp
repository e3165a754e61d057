// Answers that a mapping gave once and must give again: integers for source keys, unique values, UUIDs. Each
// is durable in the state directory before a target transaction that uses it can commit, and in the target
// with that transaction. Used from several threads.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "apply/mapping/keys/key_answers.hpp"
#include "apply/mapping/keys/key_outbox.hpp"
#include "apply/mapping/keys/key_store.hpp"
#include "proto/value.hpp"

namespace tidegate {

class KeyMemory : public KeyOutbox, public KeyAnswers {
 public:
  // Draws integers that the target's column of that entity gives to nobody else.
  using Draw = std::function<std::vector<std::int64_t>(const std::string& entity, int count)>;
  KeyMemory(std::string pipeline, KeyStore store, Draw draw)
      : pipeline_(std::move(pipeline)), store_(std::move(store)), draw_(std::move(draw)) {}

  std::int64_t surrogate(const std::string& entity, const Row& key) override;
  // The remembered one; `made` is remembered where there is none.
  std::string uuid(const std::string& entity, const Row& key, const std::string& made) override;
  std::string paired_uuid(const std::string& entity, const Row& key, const std::string& made) override;
  // What rows that were born on the target got of the way back: durable when it returns, and in the target
  // with its next transaction.
  void take_pairs(const std::vector<KeyEntry>& pairs);
  // `value`, or where another source row holds that, the next of value+2, value+3 … (before the @ of an
  // e-mail). `column`: "public.users.email".
  std::string unique_value(const std::string& column, const std::string& value, const Row& key) override;

  void rethrow_failure() override;

  void begin_row(std::string owner) override;
  void end_row(bool asked_all) override;
  void row_is_gone(const std::string& owner) override;
  void table_is_empty(const std::string& table) override;

  std::optional<postgres::Command> unsent(const postgres::Command& into) override;
  void sent() override;
  void begin_ahead() override;
  void chunk_is_next() override;

  // Brings store and target together; the target's position is where it is. `fresh`: nothing was copied yet,
  // so that each side takes over what only the other has. Else what did not reach the target is taken back,
  // but for surrogates and UUIDs, which never change and are sent again.
  void meet(postgres::Connection& target, bool fresh);

 private:
  template <typename Work>
  auto answer(Work work);
  std::optional<std::string> remembered(const KeyName& name);
  std::int64_t next_of(const std::string& entity);
  std::string free_value(const std::string& scope, const std::string& value);
  void release(const std::vector<KeyEntry>& entries);
  void note_ahead(const std::string& scope, const std::string& key);
  std::vector<KeyEntry> due(KeyState state);
  void take_from(postgres::Connection& target);
  void give_to(postgres::Connection& target);
  void settle(postgres::Connection& target);
  void settle(postgres::Connection& target, const std::vector<KeyEntry>& entries);

  std::mutex mutex_;
  std::string pipeline_;
  KeyStore store_;
  Draw draw_;
  std::map<std::string, std::vector<std::int64_t>> drawn_;  // by entity, last first
  // Choices for a value below this one are taken, as long as nothing was released: else a value that
  // thousands of rows have would cost each of them thousands of look-ups.
  std::map<std::pair<std::string, std::string>, int> next_choice_;  // by scope and value
  std::map<std::string, bool> paired_;  // does the memory have anything of that scope
  std::string owner_;
  std::exception_ptr failure_;
  std::vector<KeyEntry> before_;  // what the row held when its evaluation began, and did not ask for yet
  std::vector<KeyEntry> adding_, releasing_;
  std::uint64_t mapped_ = 0, due_ = 0;                                  // chunks
  std::map<std::pair<std::string, std::string>, std::uint64_t> ahead_;  // by scope and key: of which chunk
};

// The n-th choice for a value that is taken: ann+2@x.org, or value+2 where there is no @. Pure.
std::string numbered_value(const std::string& value, int n);

}  // namespace tidegate
