// One source table in one version of its shape, and the rows that its maps make of its rows. Owns an
// expression engine; used by one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apply/mapping/bound_value.hpp"
#include "apply/mapping/definition.hpp"
#include "apply/mapping/keys/key_answers.hpp"
#include "apply/mapping/row_engine.hpp"
#include "proto/change.hpp"
#include "proto/table.hpp"

namespace tidegate {

struct MappingOptions {
  bool printed = false;  // the source's values are texts that Postgres printed, and so are the mapped ones
  bool shows_types = false;  // what expressions give keeps its type even so
  RowEngine::Functions functions;
  std::shared_ptr<KeyAnswers> memory;  // none where nothing is written
};

// One [[map.to]], with its [[map]] and the name of its mapped relation.
struct MapOutput {
  const MapDefinition* map;
  const MapTarget* target;
  std::string name;
};

class MappedTable {
 public:
  // `outputs` must outlive it. Mapped relations are numbered from `first_id`. Throws Refused, with the place
  // in the file, for an expression that cannot be compiled.
  MappedTable(std::vector<MapOutput> outputs, const SourceTable& table, const Relation& relation,
              const MappingOptions& options, std::uint32_t first_id);

  std::size_t size() const { return outputs_.size(); }
  const MapOutput& output(std::size_t i) const { return outputs_[i].from; }
  const Relation& relation(std::size_t i) const { return outputs_[i].relation; }
  const Relation& source() const { return source_; }
  // The place in the file of a key column whose expression reads more than the source's key; empty where none
  // does.
  std::string moving_key(std::size_t i) const;
  // Columns of the source that no expression, condition or key reads.
  std::vector<std::string> unread() const;

  using Give = std::function<void(const Relation&, Change)>;
  // The changes of mapped relations that a change of the table is.
  void map(const Change& change, const Give& give);
  // A row of the snapshot: for each output its mapped row, or nothing where the row does not match.
  void map_row(const Row& row, std::vector<std::optional<Row>>& mapped);

 private:
  struct Cell {
    std::optional<std::size_t> passed;  // place in the source's row
    std::size_t expression = 0;
    std::optional<Value> constant;  // of an expression that reads no column: evaluated once
  };
  struct Output {
    MapOutput from;
    Relation relation;
    std::vector<Cell> cells;
    std::vector<std::size_t> key;               // places of the target's key
    std::vector<std::size_t> conditions;        // expressions, each 1 where the row matches
    std::vector<std::size_t> reads, key_reads;  // places in the source's row
    std::vector<std::size_t> inputs;            // those of `reads` that an expression or condition needs
    std::vector<std::size_t> expressions;       // all that the row needs
    bool key_moves = false;                     // the target's key reads more than the source's
  };
  std::size_t compile(const std::string& sql, const PlacedText& text, const char* what);
  void compile_condition(Output& output, const std::optional<PlacedText>& condition);
  Cell compile_cell(const MapColumn& column);
  std::optional<Value> constant_of(const std::string& sql, std::size_t expression);
  void compile_key(Output& output);
  void compile(Output& output, std::uint32_t id);
  void note_reads(const std::string& expression, std::vector<std::size_t>& places) const;

  const Row& bound(const Row& row);
  bool evaluate(const Row& row, const std::vector<std::size_t>& expressions);
  bool matches(const Output& output) const;
  Value take_cell(const Output& output, const Row& row, std::size_t place);
  Row key_row(const Output& output, const Row& row);
  std::optional<Row> whole_row(const Output& output, const Row& row, bool evaluated);
  Row failed_row(const Output& output, const Row& row);
  void map_upsert(const Change& change, const Give& give);
  std::vector<std::optional<Row>> old_keys(const Change& change);
  void map_upsert(const Output& output, const Change& change, std::optional<Row> old, bool evaluated,
                  const Give& give);
  void give_removal(const Output& output, const Row& row, const Give& give);
  bool lacks_inputs(const Output& output, const Change& change) const;
  static std::vector<std::uint32_t> absent_cells(const Output& output, const Change& change);
  Row old_row(const Change& change) const;
  std::string owner(const Row& row) const;
  void begin_row(const Row& row);
  void end_row();
  void free_values_of(const Row& row);

  Relation source_;
  MappingOptions options_;
  std::vector<BoundType> bound_types_;
  std::vector<std::uint32_t> source_key_;
  RowEngine engine_;
  std::vector<Output> outputs_;
  std::vector<std::size_t> all_expressions_;
  bool asks_memory_ = false;  // then only rows that match are evaluated
  bool asks_unique_ = false;
  bool asked_all_ = true;  // was everything evaluated that the row being mapped needs?
  Row scratch_, results_;
  std::vector<Value> values_;  // by expression
  std::map<std::string, std::size_t> compiled_;
  std::vector<bool> shared_;  // by expression: several cells are the same one
};

// For each output its mapped rows, in the rows' order.
std::vector<std::vector<Row>> map_rows(MappedTable& table, const std::vector<Row>& rows);

}  // namespace tidegate
