// What a legacy row becomes of what the target has of it. README.md of apply/mapping, "Way back".
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "apply/mapping/back/forward_look.hpp"
#include "apply/mapping/back/legacy_rows.hpp"
#include "apply/mapping/back/return_keys.hpp"
#include "apply/mapping/row_engine.hpp"

namespace tidegate {

// What the target has of one legacy row: for each output its row in the layout of the map's columns.
struct SeenRow {
  Row name;  // the anchor's key, without constants
  std::vector<std::optional<Row>> parts = {};
  std::optional<bool> claimed = {};  // what the anchor's claim says; nothing where it has none
  bool is_blank = false;             // of a contributor's row: its columns have their defaults
};

class RowMaker {
 public:
  // All of them outlive it.
  RowMaker(LegacyRows& rows, ReturnKeys& keys, const ReturnedTable& table, const MappingOptions& options);
  RowMaker(const RowMaker&) = delete;  // its look knows where its table is
  RowMaker& operator=(const RowMaker&) = delete;

  // By output: places in the map's columns that are read, the key's first.
  const std::vector<std::vector<std::size_t>>& reads() const { return reads_; }
  ForwardLook& forward() { return *forward_; }

  // The legacy row's key; nothing where it is not known, unless new ones may be given out.
  std::optional<Row> legacy_key(const Row& name, bool give);
  // Why there is no row: a column of the legacy table, or none, and a word.
  struct Refusal {
    std::string column, reason;
  };
  std::variant<ReturnedRow, Refusal> make(const SeenRow& seen, const Row& key);

 private:
  struct Given {
    std::size_t expression = 0;
    std::vector<std::size_t> reads = {};  // places in the map's columns
  };
  // A column of the legacy table that can be written.
  struct Column {
    std::string name;
    ReturnSource source;
    std::size_t place = 0;  // passed, key: in the map's columns
    Given given = {};
  };
  void make_columns();
  void make_given(Column& column);
  void make_reads();
  std::variant<Value, Misfit> key_value(std::size_t column, const Value& target, bool give);
  std::variant<Value, Misfit> value_of(std::size_t column, const SeenRow& seen, const ReturnedRow& made,
                                       const ForwardLook::Mapped& mapped);
  Value stays(std::size_t column, const ReturnedRow& made);
  Value without_part(std::size_t column, const ReturnedRow& made, const ForwardLook::Mapped& mapped);
  bool says_the_same(const Column& column, const Row& part, const ForwardLook::Mapped& mapped) const;
  std::variant<Value, Misfit> given_value(std::size_t column, const Row& part);

  LegacyRows& rows_;
  ReturnKeys& keys_;
  const ReturnedTable& table_;
  std::vector<Column> columns_;
  std::vector<std::size_t> key_;                   // of the legacy table: places in columns_
  std::vector<std::vector<std::size_t>> reads_;    // by output
  std::vector<std::optional<RowEngine>> engines_;  // by output, of [map.reverse]
  std::unique_ptr<ForwardLook> forward_;
  bool looks_forward_ = false;  // at rows that are there, for what some columns need
  Row whole_;                   // of the row that is made, as the maps read it; empty where it is new
};

}  // namespace tidegate
