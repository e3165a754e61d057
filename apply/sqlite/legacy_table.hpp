// One table of the legacy file: its rows by key, and the statements that change them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "apply/sqlite/reverse_plan.hpp"
#include "db/sqlite.hpp"
#include "proto/value.hpp"

namespace tidegate {

class LegacyTable {
 public:
  // `key`: places in `table.columns` by which the target names rows.
  LegacyTable(sqlite::Database& legacy, const ReverseTable& table, std::vector<std::size_t> key);

  // As it lies there. Values are in the layout of ReverseTable::columns.
  struct Held {
    Row row;
    std::optional<std::int64_t> rowid;  // absent for a table without one
  };
  std::optional<Held> find(const Row& key);

  // All throw Error "SQLITE_CONSTRAINT…" where the table's rules do not take the row; then nothing is
  // changed, whatever the table says of conflicts.
  void insert(const Row& values, std::optional<std::int64_t> rowid = std::nullopt);
  void update(const Held& held, const Row& values, const std::vector<std::size_t>& changed);
  void remove(const Held& held);
  void remove_all();

  const std::string& name() const { return table_.legacy; }
  const std::vector<std::size_t>& key() const { return key_; }

 private:
  std::string name_of(std::size_t column) const;
  std::string where_held() const;
  void bind_held(sqlite::Statement& statement, int parameter, const Held& held) const;
  sqlite::Statement& update_of(const std::vector<std::size_t>& changed);

  sqlite::Database& legacy_;
  const ReverseTable& table_;
  std::vector<std::size_t> key_;
  bool has_rowid_, rowid_is_column_;
  std::optional<sqlite::Statement> find_, insert_, remove_;
  std::unordered_map<std::string, sqlite::Statement> updates_;  // by the columns that they set
};

// The forms that the newest rows of the table have, into its columns; reads a thousand at most.
void learn_forms(sqlite::Database& legacy, ReverseTable& table);

}  // namespace tidegate
