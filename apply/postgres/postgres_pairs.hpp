// Pairs of keys in a legacy Postgres database: its schema `tidegate` has them in the table `keys`. New ones
// go with the statement that moves the position, so that they are there with the rows or not at all.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/back/pair_store.hpp"
#include "apply/mapping/keys/key_outbox.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

class PostgresPairs : public PairStore, public KeyOutbox {
 public:
  // Reads what the database has, and goes with the session's transactions from here on. The session outlives
  // it.
  explicit PostgresPairs(TargetSession& legacy);
  ~PostgresPairs() override;
  PostgresPairs(const PostgresPairs&) = delete;
  PostgresPairs& operator=(const PostgresPairs&) = delete;

  std::vector<std::string> keys_of(const std::string& scope, const std::string& answer) override;
  std::optional<std::string> answer_of(const KeyName& name) override;
  void keep(const KeyName& name, const std::string& answer, std::optional<std::int64_t> id) override;
  // Of the column's own sequence; of a column without one the number above all.
  std::int64_t next_id(const KeyOwner& owner, std::optional<std::int64_t> last) override;
  bool is_taken(const KeyOwner& owner, const std::string& key) override;

  std::optional<postgres::Command> unsent(const postgres::Command& into) override;
  void sent() override;

 private:
  const std::string& sequence_of(const KeyOwner& owner);
  std::int64_t highest(const KeyOwner& owner);

  TargetSession& legacy_;
  KeyStore store_;                                // a copy, gone with this
  std::map<std::string, std::string> sequences_;  // by table; empty where there is none
  std::vector<KeyEntry> adding_;
};

// What a legacy database has of pairs; nothing where it was never fenced.
std::vector<KeyEntry> pairs_in(postgres::Connection& legacy, const std::string& pipeline);

}  // namespace tidegate
