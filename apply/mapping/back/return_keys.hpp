// Keys on the way back: from the target's to the legacy's, and new ones for rows that were born on the
// target. apply/mapping/README.md, "Way back". Used by one thread.
#pragma once

#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/back/pair_store.hpp"
#include "apply/mapping/keys/key_answers.hpp"
#include "apply/mapping/keys/key_calls.hpp"
#include "apply/mapping/keys/key_store.hpp"
#include "db/sqlite.hpp"
#include "proto/table.hpp"

namespace tidegate {

class ReturnKeys : public LookedUpAnswers {
 public:
  // `remembered`: the key memory as it is when the way back begins. `pairs` outlive it.
  ReturnKeys(PairStore& pairs, std::shared_ptr<KeyAnswers> remembered);

  // Rows of this entity are those of the table; the first that claims an entity gives out its ids, which are
  // integers or else texts.
  void own(const ColumnKey& entity, const SourceTable& table, bool integers);
  // A row that was born in the legacy database: its key there, and what it is on the target. `outside`: the
  // maps leave it out as it is now, so that the target need not have it.
  void index(const ColumnKey& entity, const Value& key, const std::string& answer, bool outside = false);
  bool is_outside(const ColumnKey& entity, const std::string& answer);

  // What the legacy's key ends in; nothing where nobody knows the target's, or it is another entity's.
  std::optional<Value> find(const ColumnKey& key, const std::string& answer);
  // It is known, and its name begins with other words.
  bool is_anothers(const ColumnKey& key, const std::string& answer);
  // As find(); of a key that nobody knows it gives out a new one and keeps the pair. Within the legacy
  // database's transaction, with which the pair stands or falls.
  std::optional<Value> find_or_give(const ColumnKey& key, const std::string& answer);
  void keep(const KeyName& name, const std::string& answer);
  // A transaction begins: what an earlier one gave out and took back is free.
  void begin() { next_.clear(); }

  // Under which name the mapping asked for this answer since listen(), if it did. Ends the listening.
  std::optional<KeyName> asked_for(const std::string& answer);
  void listen();

  // As the mapping asks, forward.
  std::int64_t surrogate(const std::string& entity, const Row& key) override;
  std::string uuid(const std::string& entity, const Row& key, const std::string& made) override;
  std::string paired_uuid(const std::string& entity, const Row& key, const std::string& made) override;
  std::string unique_value(const std::string& column, const std::string& value, const Row& key) override;
  void rethrow_failure() override;

 private:
  std::vector<std::string> names_of(const std::string& scope, const std::string& answer);
  Value give(const KeyOwner& owner, const ColumnKey& key, const std::string& answer);
  // The pair's answer, or what `otherwise` gives.
  template <typename Otherwise>
  std::string answer(const KeyName& name, Otherwise otherwise);

  PairStore& pairs_;
  std::shared_ptr<KeyAnswers> remembered_;
  sqlite::Database index_;
  sqlite::Statement into_index_, in_index_, name_in_index_, outside_;
  std::map<std::pair<std::string, std::vector<std::string>>, KeyOwner> owners_;       // by scope and words
  std::map<std::string, std::int64_t> next_;                                          // by table
  std::map<std::pair<std::string, std::vector<std::string>>, std::int64_t> highest_;  // that was indexed
  bool listens_ = false;
  std::vector<std::pair<KeyName, std::string>> asked_;  // with the answers
  std::exception_ptr failure_;
};

// A mapped value as the target's texts are.
std::string text_of_key(const Value& value);

}  // namespace tidegate
