// The rows of one mapped legacy table on their way back. Part of mapped_return.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "apply/mapping/row_engine.hpp"
#include "apply/sqlite/mapped_return.hpp"

namespace tidegate {

class ReturnedRows {
 public:
  ReturnedRows(LegacyFile& file, ReturnKeys& keys, ReturnedTable table, const MappingOptions& options);
  ReturnedRows(const ReturnedRows&) = delete;  // its statements know where its layout is
  ReturnedRows& operator=(const ReturnedRows&) = delete;

  const std::string& name() const { return table_.plan.table; }
  const ReturnedTable& table() const { return table_; }
  bool follows(const std::string& target_table) const { return output_of(target_table).has_value(); }
  // Notes the legacy row that the change touches, by the anchor's key.
  void touch(const Relation& relation, const Change& change);
  void touch(const Row& anchor_key);

  // Reads what was touched; then writes it, removals first; then says what linked outputs call it.
  void read(postgres::Connection& target);
  void remove_gone();
  void write(LegacyWrites& writes);
  void pair_linked(postgres::Connection& target);
  void forget() { touched_.clear(); }

 private:
  // What the target has of one legacy row: for each output its row in the layout of the map's columns.
  struct Seen {
    Row key;  // of the anchor
    std::vector<std::optional<Row>> parts;
  };
  // A part of the row, as it is asked of the target.
  struct Part {
    std::vector<std::size_t> key, read;  // places in the map's columns; `key` in the anchor's order
    std::optional<RowEngine> engine;     // of [map.reverse]
  };
  struct Given {
    std::size_t expression = 0;
    std::vector<std::size_t> reads;  // places in the map's columns
  };
  // A column of the legacy table that can be written.
  struct Column {
    ReturnSource source;
    std::size_t place = 0;  // passed, key: in the map's columns
    Given given = {};
    std::optional<std::string> default_sql = {};
  };
  // The maps with no more than the keys and what [map.reverse] reads: to map a legacy row forward.
  struct Forward {
    std::vector<MapDefinition> maps;
    std::vector<std::vector<std::size_t>> places;  // by output: of each column, in the map's columns
    std::unique_ptr<MappedTable> table;
  };
  using Mapped = std::vector<std::optional<Row>>;  // by output, in the layout of Forward::places

  const MapTarget& target_of(std::size_t output) const { return *table_.plan.outputs[output].from.target; }
  std::size_t place_in(std::size_t output, const std::string& column) const;
  std::optional<std::size_t> output_of(const std::string& target_table) const;
  void make_columns();
  void make_given(Column& column);
  void make_parts();
  void make_forward(const MappingOptions& options);
  void index_rows();
  void touch_all();
  Mapped map_forward(const Row& row);
  std::optional<Value> forward_key(const Mapped& mapped, std::size_t output) const;

  void read_part(postgres::Connection& target, std::size_t output);
  // The legacy row's key; nothing where it is not known, unless new ones may be given out.
  std::optional<Row> legacy_key(const Row& anchor_key, bool give);
  std::optional<Value> key_value(const Column& column, const ReverseColumn& form, const Value& target,
                                 bool give);
  Row whole_row(const Row& legacy_key);

  void write(const Seen& seen, LegacyWrites& writes);
  std::variant<Value, Misfit> value_of(std::size_t column, const Seen& seen, const LegacyWrite& write,
                                       const Mapped& mapped);
  Value stays(std::size_t column, const LegacyWrite& write);
  bool says_the_same(const Column& column, const Row& part, const Mapped& mapped) const;
  std::variant<Value, Misfit> given_value(const Column& column, const Row& part);
  std::map<std::string, std::vector<std::string>> linked_keys(postgres::Connection& target,
                                                              std::size_t output) const;
  void pair(std::size_t output, const std::string& linked, const Row& legacy_row);

  LegacyFile& file_;
  ReturnKeys& keys_;
  ReturnedTable table_;
  ReverseTable layout_;  // of columns_
  std::vector<Column> columns_;
  std::vector<std::size_t> key_;  // of the legacy table: places in columns_
  std::optional<LegacyTable> rows_;
  std::optional<sqlite::Statement> whole_;
  std::vector<Part> parts_;  // by output
  Forward forward_;
  bool has_given_ = false;
  std::map<std::string, Seen> touched_;  // by the anchor's key, encoded
};

}  // namespace tidegate
