// The legacy file as the way back of mapped tables meets it (apply/mapping/back/legacy_rows.hpp). What it
// writes stands in the transaction of SqliteSink.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/back/legacy_rows.hpp"
#include "apply/sqlite/legacy_file.hpp"
#include "apply/sqlite/legacy_writes.hpp"
#include "db/sqlite.hpp"

namespace tidegate {

class SqlitePairs : public PairStore {
 public:
  // The file has tidegate's tables, and outlives it.
  explicit SqlitePairs(sqlite::Database& legacy);

  std::vector<std::string> keys_of(const std::string& scope, const std::string& answer) override;
  std::optional<std::string> answer_of(const KeyName& name) override;
  void keep(const KeyName& name, const std::string& answer, std::optional<std::int64_t> id) override;
  std::int64_t next_id(const KeyOwner& owner, std::optional<std::int64_t> last) override;
  bool is_taken(const KeyOwner& owner, const std::string& key) override;

 private:
  sqlite::Database& legacy_;
  sqlite::Statement by_answer_, by_key_, insert_;
};

class SqliteSide : public LegacySide {
 public:
  // `file` has begun, and outlives it.
  explicit SqliteSide(LegacyFile& file) : file_(file), pairs_(file.database()) {}

  std::unique_ptr<LegacyRows> open(const ReturnedTable& table) override;
  PairStore& pairs() override { return pairs_; }
  bool gives_integers(const SourceTable& table, const std::string& column) const override;
  std::vector<Rejected> rejects() override;

  // Where rows are put from here on; within one transaction.
  void write_to(LegacyWrites& writes) { writes_ = &writes; }
  LegacyWrites& writes() { return *writes_; }
  LegacyFile& file() { return file_; }

 private:
  LegacyFile& file_;
  SqlitePairs pairs_;
  LegacyWrites* writes_ = nullptr;
};

// The pairs that the legacy file has; empty where it has no such table.
std::vector<KeyEntry> pairs_in(sqlite::Database& legacy);

}  // namespace tidegate
