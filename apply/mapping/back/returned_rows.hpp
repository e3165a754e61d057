// The rows of one mapped legacy table on their way back: which were touched, what the target has of them, and
// whose they are. Part of mapped_return.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apply/mapping/back/row_maker.hpp"
#include "db/postgres.hpp"

namespace tidegate {

class ReturnedRows {
 public:
  ReturnedRows(LegacySide& legacy, ReturnKeys& keys, ReturnedTable table, const MappingOptions& options);
  ReturnedRows(const ReturnedRows&) = delete;  // its maker knows where its table is
  ReturnedRows& operator=(const ReturnedRows&) = delete;

  const std::string& name() const { return table_.plan.table; }
  const ReturnedTable& table() const { return table_; }
  bool follows(const std::string& target_table) const { return output_of(target_table).has_value(); }
  // Notes the legacy row that the change touches, by the anchor's key.
  void touch(const Relation& relation, const Change& change);
  void touch(const Row& name);

  // Reads what was touched; then writes it, removals first; then says what linked outputs call it.
  void read(postgres::Connection& target);
  void remove_gone();
  void write();
  void pair_linked(postgres::Connection& target);
  void forget() { touched_.clear(); }

  // From write() to forget(): the row is this table's, or a legacy row of it has that key.
  bool has(const Row& name);
  void reject(const Row& name, Misfit why) { rows_->reject(name, "", std::string(name_of(why))); }

  // --- all rows, for a way back that is built anew ---

  // A legacy row: its key as it lies there, in the order of the relation's, and the anchor's.
  struct Known {
    Row key, name;
  };
  // What each row of the anchor has of key and claim; and of rows that this gives, those that are legacy
  // rows of this table, by their keys.
  std::string select_all() const;
  void known(const std::vector<Row>& selected, const std::function<void(const Row& key)>& give);
  // The legacy rows that the maps make an anchor of.
  void each_mapped(const std::function<void(const Known&)>& give);
  // They go with the next remove_gone().
  void remove(std::vector<Known> surplus) { surplus_ = std::move(surplus); }
  // The names of legacy rows of the maps whose parents are not there; they are rejects with the next write().
  void each_orphan(const std::function<void(const Row& name)>& give);
  void hold(std::vector<Row> orphans) { orphans_ = std::move(orphans); }

 private:
  enum class Whose { mine, anothers, disputed };

  std::optional<std::size_t> output_of(const std::string& target_table) const;
  void index_rows();
  void touch_all();
  void read_part(postgres::Connection& target, std::size_t output);
  void find_defaults(postgres::Connection& target);
  void add_claims(std::size_t output, std::vector<std::string>& columns) const;
  Whose whose(const SeenRow& seen);
  bool is_gone(const SeenRow& seen);
  std::optional<Row> removable(const SeenRow& seen);
  void remove_surplus();
  void write(const SeenRow& seen);
  std::map<std::string, std::vector<std::string>> linked_keys(postgres::Connection& target,
                                                              std::size_t output) const;
  void pair(std::size_t output, const std::string& linked, const Row& legacy_row);

  ReturnKeys& keys_;
  ReturnedTable table_;
  std::unique_ptr<LegacyRows> rows_;
  RowMaker maker_;
  std::string blank_;                       // condition: a contributor's columns have their defaults
  std::map<std::string, SeenRow> touched_;  // by name, encoded
  std::vector<Known> surplus_;
  std::vector<Row> orphans_;  // names
};

}  // namespace tidegate
