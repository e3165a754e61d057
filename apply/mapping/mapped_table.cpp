#include "apply/mapping/mapped_table.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/keys/key_calls.hpp"
#include "apply/mapping/mapped_row.hpp"
#include "apply/mapping/refusals.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

constexpr std::string_view rowid_column = "_rid";

std::vector<EngineColumn> engine_columns(const SourceTable& table, const Relation& relation, bool printed) {
  std::vector<EngineColumn> columns;
  for (const auto& name : relation.columns) {
    EngineColumn& column = columns.emplace_back(EngineColumn{name});
    if (name == rowid_column) column.affinity = Affinity::integer;
    const SourceColumn* source = table.column(name);
    if (!source) continue;
    column.affinity =
        printed ? affinity_of(bound_type(source->declared_type)) : affinity_of(source->declared_type);
    column.collation = source->collation;
  }
  return columns;
}

std::vector<BoundType> bound_types(const SourceTable& table, const Relation& relation) {
  std::vector<BoundType> types;
  for (const auto& name : relation.columns) {
    const SourceColumn* source = table.column(name);
    types.push_back(source ? bound_type(source->declared_type) : BoundType::text);
  }
  return types;
}

// Under REPLICA IDENTITY FULL the events have no key: the declared one names the rows, or all columns do.
std::vector<std::uint32_t> key_places(const SourceTable& table, const Relation& relation) {
  if (!relation.key.empty()) return relation.key;
  std::vector<std::uint32_t> places;
  for (std::uint32_t i = 0; i < relation.columns.size(); ++i) {
    const auto& key = table.primary_key;
    const bool in_key = std::find(key.begin(), key.end(), relation.columns[i]) != key.end();
    if (key.empty() || in_key) places.push_back(i);
  }
  return places;
}

bool is_one(const Value& value) {
  const auto* integer = std::get_if<std::int64_t>(&value);
  return integer && *integer == 1;
}

void add_to(std::vector<std::size_t>& set, const std::vector<std::size_t>& more) {
  std::vector<std::size_t> all;
  std::set_union(set.begin(), set.end(), more.begin(), more.end(), std::back_inserter(all));
  set = std::move(all);
}

}  // namespace

MappedTable::MappedTable(std::vector<MapOutput> outputs, const SourceTable& table, const Relation& relation,
                         const MappingOptions& options, std::uint32_t first_id)
    : source_(relation),
      options_(options),
      bound_types_(bound_types(table, relation)),
      source_key_(key_places(table, relation)),
      engine_(engine_columns(table, relation, options.printed), options.functions) {
  for (auto& output : outputs) {
    outputs_.emplace_back().from = std::move(output);
    compile(outputs_.back(), first_id++);
    add_to(all_expressions_, outputs_.back().expressions);
  }
  scratch_.resize(source_.columns.size());
}

// --- compiling ---

std::size_t MappedTable::compile(const std::string& sql, const PlacedText& text, const char* what) {
  if (const auto known = compiled_.find(sql); known != compiled_.end()) {
    shared_[known->second] = true;
    return known->second;
  }
  if (!is_balanced(text.text)) throw not_an_expression(text, what);
  if (auto why = not_repeatable(text.text); !why.empty()) throw not_repeatable_expression(text, why);
  try {
    const auto number = engine_.add(sql);
    asks_memory_ = asks_memory_ || asks_memory(sql);
    asks_unique_ = asks_unique_ || asks_unique_value(sql);
    values_.resize(number + 1);
    shared_.resize(number + 1);
    return compiled_[sql] = number;
  } catch (const std::invalid_argument& complaint) {
    throw does_not_compile(text, engine_.offset(), complaint.what(), source_);
  }
}

void MappedTable::note_reads(const std::string& expression, std::vector<std::size_t>& places) const {
  add_to(places, columns_read(expression, source_.columns));
}

void MappedTable::compile_condition(Output& output, const std::optional<PlacedText>& condition) {
  if (!condition) return;
  output.conditions.push_back(compile("(" + condition->text + ") IS TRUE", *condition, "a condition"));
  note_reads(condition->text, output.reads);
  note_reads(condition->text, output.inputs);
}

MappedTable::Cell MappedTable::compile_cell(const MapColumn& column) {
  if (auto name = passed_column(column.expression.text, source_.columns)) {
    auto place = std::find(source_.columns.begin(), source_.columns.end(), *name);
    return {static_cast<std::size_t>(place - source_.columns.begin()), 0, {}};
  }
  const std::size_t number = compile(column.expression.text, column.expression, "an expression");
  return {std::nullopt, number, constant_of(column.expression.text, number)};
}

// One that fails does so for each row, by that row's name.
std::optional<Value> MappedTable::constant_of(const std::string& sql, std::size_t expression) {
  if (asks_memory(sql) || !columns_read(sql, source_.columns).empty()) return std::nullopt;
  try {
    Row result;
    engine_.evaluate(Row(source_.columns.size()), {expression}, result);
    return std::move(result.front());
  } catch (const Error&) {
    return std::nullopt;
  }
}

void MappedTable::compile_key(Output& output) {
  for (const auto& name : output.from.target->key) {
    const auto& columns = output.from.target->columns;
    auto found = std::find_if(columns.begin(), columns.end(),
                              [&](const MapColumn& column) { return column.target == name; });
    if (found == columns.end()) throw key_is_not_mapped(*output.from.target, name);
    output.key.push_back(static_cast<std::size_t>(found - columns.begin()));
    note_reads(found->expression.text, output.key_reads);
  }
  output.key_moves = std::any_of(output.key_reads.begin(), output.key_reads.end(), [&](std::size_t place) {
    return std::find(source_key_.begin(), source_key_.end(), place) == source_key_.end();
  });
}

void MappedTable::compile(Output& output, std::uint32_t id) {
  std::vector<std::string> names;
  for (const auto& column : output.from.target->columns) {
    names.push_back(column.target);
    const Cell& cell = output.cells.emplace_back(compile_cell(column));
    if (!cell.passed && !cell.constant) output.expressions.push_back(cell.expression);
    if (!cell.passed) note_reads(column.expression.text, output.inputs);
    note_reads(column.expression.text, output.reads);
  }
  compile_condition(output, output.from.map->condition);
  compile_condition(output, output.from.target->condition);
  output.expressions.insert(output.expressions.end(), output.conditions.begin(), output.conditions.end());
  std::sort(output.expressions.begin(), output.expressions.end());
  output.expressions.erase(std::unique(output.expressions.begin(), output.expressions.end()),
                           output.expressions.end());
  compile_key(output);
  output.relation = mapped_relation(id, output.from.name, std::move(names), source_key_.size());
}

std::vector<std::string> MappedTable::unread() const {
  std::vector<std::size_t> read;
  for (const Output& output : outputs_) add_to(read, output.reads);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < source_.columns.size(); ++i) {
    if (!std::binary_search(read.begin(), read.end(), i)) names.push_back(source_.columns[i]);
  }
  return names;
}

std::string MappedTable::moving_key(std::size_t i) const {
  const Output& output = outputs_[i];
  if (!output.key_moves) return "";
  return output.from.target->columns[output.key.front()].expression.where;
}

// --- rows ---

const Row& MappedTable::bound(const Row& row) {
  if (!options_.printed) return row;
  for (auto place : engine_.read()) scratch_[place] = bound_value(row[place], bound_types_[place]);
  return scratch_;
}

// False where one of them fails; then none has a value.
bool MappedTable::evaluate(const Row& row, const std::vector<std::size_t>& expressions) {
  try {
    engine_.evaluate(bound(row), expressions, results_);
  } catch (const Error&) {
    if (options_.memory) options_.memory->rethrow_failure();
    return false;
  }
  for (std::size_t i = 0; i < expressions.size(); ++i) std::swap(values_[expressions[i]], results_[i]);
  return true;
}

bool MappedTable::matches(const Output& output) const {
  return std::all_of(output.conditions.begin(), output.conditions.end(),
                     [&](std::size_t condition) { return is_one(values_[condition]); });
}

// Where an expression is one cell's alone, its value is taken away.
Value MappedTable::take_cell(const Output& output, const Row& row, std::size_t place) {
  const Cell& cell = output.cells[place];
  if (cell.passed) return row[*cell.passed];
  const bool stays = cell.constant || shared_[cell.expression];
  const Value& value = cell.constant ? *cell.constant : values_[cell.expression];
  Value made = stays ? value : std::exchange(values_[cell.expression], Null{});
  return options_.printed && !options_.shows_types ? printed_value(std::move(made)) : made;
}

// The target's key and the source's; the rest is NULL.
Row MappedTable::key_row(const Output& output, const Row& row) {
  Row mapped(output.relation.columns.size());
  for (auto place : output.key) {
    const Cell& key = output.cells[place];
    if (key.passed || key.constant || evaluate(row, {key.expression}))
      mapped[place] = take_cell(output, row, place);
  }
  for (std::size_t i = 0; i < source_key_.size(); ++i) mapped[output.relation.key[i]] = row[source_key_[i]];
  return mapped;
}

// A row that cannot be evaluated: its key, if that can be, and the column that failed.
Row MappedTable::failed_row(const Output& output, const Row& row) {
  asked_all_ = false;
  Row mapped = key_row(output, row);
  const auto failed = engine_.failing(bound(row), output.expressions);
  std::string column = "where";
  for (std::size_t i = 0; i < output.cells.size(); ++i) {
    if (!output.cells[i].passed && output.cells[i].expression == failed) column = output.relation.columns[i];
  }
  mapped.back() = misfit_text(Misfit::expression_failed, column);
  return mapped;
}

// Nothing where the row does not match. `evaluated`: all expressions have the row's values.
std::optional<Row> MappedTable::whole_row(const Output& output, const Row& row, bool evaluated) {
  if (!evaluated && !evaluate(row, output.conditions)) return failed_row(output, row);
  if (!matches(output)) return std::nullopt;
  if (!evaluated && !evaluate(row, output.expressions)) return failed_row(output, row);
  Row mapped;
  mapped.reserve(output.relation.columns.size());
  for (std::size_t i = 0; i < output.cells.size(); ++i) mapped.push_back(take_cell(output, row, i));
  for (auto place : source_key_) mapped.push_back(row[place]);
  mapped.emplace_back(Null{});
  return mapped;
}

void MappedTable::map_row(const Row& row, std::vector<std::optional<Row>>& mapped) {
  mapped.clear();
  begin_row(row);
  const bool evaluated = !asks_memory_ && evaluate(row, all_expressions_);
  for (const Output& output : outputs_) mapped.push_back(whole_row(output, row, evaluated));
  end_row();
}

void MappedTable::begin_row(const Row& row) {
  asked_all_ = true;
  if (asks_unique_ && options_.memory) options_.memory->begin_row(owner(row));
}

void MappedTable::end_row() {
  if (asks_unique_ && options_.memory) options_.memory->end_row(asked_all_);
}

// The source row as the key memory names it.
std::string MappedTable::owner(const Row& row) const {
  Row key;
  for (auto place : source_key_) key.push_back(row[place]);
  return source_.table + " " + key_as_json(key);
}

void MappedTable::free_values_of(const Row& row) {
  if (asks_unique_ && options_.memory) options_.memory->row_is_gone(owner(row));
}

// --- changes ---

void MappedTable::give_removal(const Output& output, const Row& row, const Give& give) {
  give(output.relation, Change{Operation::remove, output.relation.id, key_row(output, row), {}, {}});
}

void MappedTable::map(const Change& change, const Give& give) {
  switch (change.operation) {
    case Operation::insert:
    case Operation::update:
      return map_upsert(change, give);
    case Operation::remove:
      free_values_of(change.row);
      for (const Output& output : outputs_) give_removal(output, change.row, give);
      return;
    case Operation::truncate:
      if (asks_unique_ && options_.memory) options_.memory->table_is_empty(source_.table);
      for (const Output& output : outputs_) {
        Change truncate{Operation::truncate, output.relation.id, {}, {}, {}};
        give(output.relation, std::move(truncate));
      }
      return;
  }
}

// Some values were not sent since they did not change, and an expression needs one.
bool MappedTable::lacks_inputs(const Output& output, const Change& change) const {
  return std::any_of(change.absent.begin(), change.absent.end(), [&](std::uint32_t place) {
    return std::binary_search(output.inputs.begin(), output.inputs.end(), place);
  });
}

// A column that is only passed on stays away where the source did not send it.
std::vector<std::uint32_t> MappedTable::absent_cells(const Output& output, const Change& change) {
  std::vector<std::uint32_t> absent;
  for (std::uint32_t i = 0; i < output.cells.size(); ++i) {
    const auto& passed = output.cells[i].passed;
    if (passed && std::binary_search(change.absent.begin(), change.absent.end(), *passed))
      absent.push_back(i);
  }
  return absent;
}

// As it was before the update, as far as the source says so.
Row MappedTable::old_row(const Change& change) const {
  if (!change.before.empty()) return change.before;
  Row row = change.row;
  for (std::size_t i = 0; i < change.changed.size() && i < change.old.size(); ++i)
    row[change.changed[i]] = change.old[i];
  return row;
}

void MappedTable::map_upsert(const Change& change, const Give& give) {
  if (!change.before.empty() && owner(change.before) != owner(change.row)) free_values_of(change.before);
  begin_row(change.row);
  auto old = old_keys(change);
  const bool evaluated = !asks_memory_ && change.absent.empty() && evaluate(change.row, all_expressions_);
  for (std::size_t i = 0; i < outputs_.size(); ++i)
    map_upsert(outputs_[i], change, std::move(old[i]), evaluated, give);
  end_row();
}

// By output. Before the new row is evaluated, of whose values the outputs share some.
std::vector<std::optional<Row>> MappedTable::old_keys(const Change& change) {
  std::vector<std::optional<Row>> keys(outputs_.size());
  if (change.operation != Operation::update) return keys;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i].key_moves || !change.before.empty()) keys[i] = key_row(outputs_[i], old_row(change));
  }
  return keys;
}

void MappedTable::map_upsert(const Output& output, const Change& change, std::optional<Row> old,
                             bool evaluated, const Give& give) {
  std::optional<Row> row;
  if (lacks_inputs(output, change)) {
    asked_all_ = false;
    row = key_row(output, change.row);
    row->back() = misfit_text(Misfit::row_missing, "");
  } else {
    row = whole_row(output, change.row, evaluated);
  }
  const bool is_update = change.operation == Operation::update;
  if (!row) {
    if (old)
      return give(output.relation, Change{Operation::remove, output.relation.id, std::move(*old), {}, {}});
    if (is_update) give_removal(output, change.row, give);
    return;
  }
  const bool is_misfit = !is_null(row->back());
  Change mapped{change.operation, output.relation.id, std::move(*row), {}, {}};
  if (!is_misfit) mapped.absent = absent_cells(output, change);
  const bool moved = old && std::any_of(output.key.begin(), output.key.end(), [&](std::size_t place) {
                       return !identical((*old)[place], mapped.row[place]);
                     });
  if (moved && options_.printed) mapped.before = std::move(*old);
  if (moved && !options_.printed)
    give(output.relation, Change{Operation::remove, output.relation.id, std::move(*old), {}, {}});
  give(output.relation, std::move(mapped));
}

std::vector<std::vector<Row>> map_rows(MappedTable& table, const std::vector<Row>& rows) {
  std::vector<std::vector<Row>> mapped(table.size());
  std::vector<std::optional<Row>> made;
  for (const Row& row : rows) {
    table.map_row(row, made);
    for (std::size_t i = 0; i < made.size(); ++i) {
      if (made[i]) mapped[i].push_back(std::move(*made[i]));
    }
  }
  return mapped;
}

}  // namespace tidegate
