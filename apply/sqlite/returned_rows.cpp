#include "apply/sqlite/returned_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/reverse_expressions.hpp"
#include "apply/sqlite/encode_back.hpp"
#include "apply/sqlite/meaning.hpp"
#include "apply/sqlite/target_keys.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

using Kind = ReturnSource::Kind;

std::vector<std::string> names_of(const MapTarget& target) {
  std::vector<std::string> names;
  for (const MapColumn& column : target.columns) names.push_back(column.target);
  return names;
}

void add_place(std::vector<std::size_t>& places, std::size_t place) {
  if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
}

bool is_text(const Value& value) {
  return std::holds_alternative<std::string>(value);
}

}  // namespace

ReturnedRows::ReturnedRows(LegacyFile& file, ReturnKeys& keys, ReturnedTable table,
                           const MappingOptions& options)
    : file_(file), keys_(keys), table_(std::move(table)) {
  parts_.resize(table_.plan.outputs.size());
  make_columns();
  make_parts();
  learn_forms(file_.database(), layout_);
  rows_.emplace(file_.database(), layout_, key_);
  make_forward(options);
  index_rows();
}

// --- what comes from where ---

std::size_t ReturnedRows::place_in(std::size_t output, const std::string& column) const {
  const auto names = names_of(target_of(output));
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), column) - names.begin());
}

std::optional<std::size_t> ReturnedRows::output_of(const std::string& target_table) const {
  for (std::size_t i = 0; i < parts_.size(); ++i)
    if (target_of(i).schema + "." + target_of(i).table == target_table) return i;
  return std::nullopt;
}

// The form of a column that is passed on is that of the target's; others have values of SQLite's own.
void ReturnedRows::make_columns() {
  const SourceTable& source = table_.source;
  layout_.legacy = source.name;
  if (!source.without_rowid) layout_.rowid_name = source.rowid_name();
  for (std::size_t i = 0; i < source.columns.size(); ++i) {
    const SourceColumn& described = source.columns[i];
    if (described.generated_sql) continue;
    Column column{table_.plan.columns[i]};
    column.default_sql = described.default_sql;
    ReverseColumn form;
    if (column.source.kind == Kind::passed || column.source.kind == Kind::key)
      column.place = place_in(column.source.output, column.source.target);
    if (column.source.kind == Kind::passed)
      form.forward = table_.plans[column.source.output].columns.at(column.place);
    form.forward.source = described.name;
    form.affinity = affinity_of(described.declared_type);
    form.not_null = described.not_null;
    form.is_rowid = source.integer_key && source.primary_key.front() == described.name;
    layout_.columns.push_back(std::move(form));
    if (column.source.kind == Kind::given) make_given(column);
    columns_.push_back(std::move(column));
  }
  for (const std::string& name : source.primary_key)
    for (std::size_t i = 0; i < columns_.size(); ++i)
      if (layout_.columns[i].forward.source == name) key_.push_back(i);
}

void ReturnedRows::make_given(Column& column) {
  const std::size_t output = column.source.output;
  auto& engine = parts_[output].engine;
  if (!engine) engine.emplace(reverse_engine(target_of(output), &table_.plans[output]));
  const std::string& expression = column.source.reverse->expression.text;
  column.given = {engine->add(expression), columns_read(expression, names_of(target_of(output)))};
  has_given_ = true;
}

void ReturnedRows::make_parts() {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (!table_.plan.outputs[i].is_part) continue;
    for (const std::string& name : target_of(i).key) parts_[i].key.push_back(place_in(i, name));
    parts_[i].read = parts_[i].key;
  }
  for (const Column& column : columns_) {
    auto& read = parts_[column.source.output].read;
    const bool one = column.source.kind == Kind::passed || column.source.kind == Kind::key;
    if (one) add_place(read, column.place);
    for (const std::size_t place : column.given.reads) add_place(read, place);
  }
}

// --- forward ---

void ReturnedRows::make_forward(const MappingOptions& options) {
  std::vector<MapOutput> outputs;
  forward_.maps.reserve(parts_.size());
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const MapOutput& whole = table_.plan.outputs[i].from;
    MapDefinition map = *whole.map;
    map.to = {*whole.target};
    std::vector<std::size_t> places;
    for (const std::string& name : whole.target->key) add_place(places, place_in(i, name));
    for (const Column& column : columns_)
      if (column.source.kind == Kind::given && column.source.output == i)
        for (const std::size_t place : column.given.reads) add_place(places, place);
    map.to.front().columns.clear();
    for (const std::size_t place : places) map.to.front().columns.push_back(whole.target->columns[place]);
    forward_.maps.push_back(std::move(map));
    forward_.places.push_back(std::move(places));
    outputs.push_back({&forward_.maps.back(), &forward_.maps.back().to.front(), whole.name});
  }
  forward_.table =
      std::make_unique<MappedTable>(std::move(outputs), table_.source, table_.relation, options, 0);
}

ReturnedRows::Mapped ReturnedRows::map_forward(const Row& row) {
  Mapped mapped;
  forward_.table->map_row(row, mapped);
  for (auto& each : mapped)
    if (each && !is_null(each->back())) each.reset();  // an expression failed
  return mapped;
}

std::optional<Value> ReturnedRows::forward_key(const Mapped& mapped, std::size_t output) const {
  if (!mapped[output] || is_null(mapped[output]->front())) return std::nullopt;
  return mapped[output]->front();
}

void ReturnedRows::index_rows() {
  std::string columns, by_key;
  const SourceTable& source = table_.source;
  for (const auto& name : table_.relation.columns)
    columns += (columns.empty() ? "" : ", ") + sqlite::quoted(name);
  for (const auto& name : source.primary_key)
    by_key += (by_key.empty() ? "" : " AND ") + sqlite::quoted(name) + " = ?";
  const std::string select = "SELECT " + columns + " FROM " + sqlite::quoted(source.name);
  whole_.emplace(file_.database().prepare(select + " WHERE " + by_key));
  if (!table_.plan.entity) return;
  auto rows = file_.database().prepare(select);
  Row row;
  while (rows.step()) {
    rows.read_row(row, 0, static_cast<int>(table_.relation.columns.size()));
    if (const auto key = forward_key(map_forward(row), table_.plan.anchor))
      keys_.index(*table_.plan.entity, row[table_.relation.key.front()], text_of_key(*key));
  }
}

Row ReturnedRows::whole_row(const Row& legacy_key) {
  Row row;
  for (std::size_t i = 0; i < legacy_key.size(); ++i) whole_->bind(static_cast<int>(i) + 1, legacy_key[i]);
  if (whole_->step()) whole_->read_row(row, 0, static_cast<int>(table_.relation.columns.size()));
  whole_->reset();
  return row;
}

// --- what was touched ---

void ReturnedRows::touch(const Row& anchor_key) {
  if (!std::all_of(anchor_key.begin(), anchor_key.end(), is_text)) return;
  touched_.try_emplace(encode(anchor_key), Seen{anchor_key, Mapped(parts_.size())});
}

// All that are there; those that the target has no more are found out then.
void ReturnedRows::touch_all() {
  std::string columns;
  for (const auto& name : table_.relation.columns)
    columns += (columns.empty() ? "" : ", ") + sqlite::quoted(name);
  auto rows = file_.database().prepare("SELECT " + columns + " FROM " + sqlite::quoted(table_.source.name));
  Row row;
  while (rows.step()) {
    rows.read_row(row, 0, static_cast<int>(table_.relation.columns.size()));
    const auto mapped = map_forward(row);
    if (!mapped[table_.plan.anchor]) continue;
    Row key;
    for (std::size_t i = 0; i < target_of(table_.plan.anchor).key.size(); ++i)
      key.emplace_back(text_of_key((*mapped[table_.plan.anchor])[i]));
    touch(key);
  }
}

void ReturnedRows::touch(const Relation& relation, const Change& change) {
  const std::size_t output = *output_of(relation.table);
  const ReturnOutput& about = table_.plan.outputs[output];
  if (change.operation == Operation::truncate) {
    if (output == table_.plan.anchor) touch_all();
    return;
  }
  const bool linked = !about.is_part && !about.link.empty() && change.operation != Operation::remove;
  if (!about.is_part && !linked) return;
  const auto names = linked ? std::vector<std::string>{about.link} : target_of(output).key;
  for (const Row* row : {&change.row, &change.before}) {
    if (!row->empty()) touch(values_in(relation, *row, names));
  }
}

// --- reading ---

void ReturnedRows::read(postgres::Connection& target) {
  if (touched_.empty()) return;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const bool gives = parts_[i].read.size() > parts_[i].key.size() || i == table_.plan.anchor;
    if (table_.plan.outputs[i].is_part && gives) read_part(target, i);
  }
}

void ReturnedRows::read_part(postgres::Connection& target, std::size_t output) {
  const Part& part = parts_[output];
  const TablePlan& plan = table_.plans[output];
  TargetRowsByKey query{quoted_name(plan), {}, {}, {}};
  for (const std::size_t place : part.key) query.key.push_back(&plan.columns[place]);
  for (const std::size_t place : part.read) query.columns.push_back(quoted(plan.columns[place].target));
  std::vector<Row> keys;
  for (const auto& [at, seen] : touched_) keys.push_back(seen.key);
  for (Row& found : rows_by_key(target, query, keys)) {
    Row row(plan.columns.size(), Null{}), key;
    for (std::size_t i = 0; i < part.read.size(); ++i) row[part.read[i]] = std::move(found[i]);
    for (const std::size_t place : part.key) key.push_back(row[place]);
    const auto seen = touched_.find(encode(key));
    if (seen != touched_.end()) seen->second.parts[output] = std::move(row);
  }
}

// --- writing ---

std::optional<Value> ReturnedRows::key_value(const Column& column, const ReverseColumn& form,
                                             const Value& target, bool give) {
  const auto* text = std::get_if<std::string>(&target);
  if (!text) return std::nullopt;
  if (column.source.kind == Kind::key)
    return give ? keys_.find_or_give(*column.source.key, *text) : keys_.find(*column.source.key, *text);
  auto value = encode_back(target, form);
  if (std::holds_alternative<Misfit>(value)) return std::nullopt;
  return std::get<Value>(std::move(value));
}

std::optional<Row> ReturnedRows::legacy_key(const Row& anchor_key, bool give) {
  const auto& names = target_of(table_.plan.anchor).key;
  Row key;
  for (const std::size_t place : key_) {
    const Column& column = columns_[place];
    const auto at = std::find(names.begin(), names.end(), column.source.target) - names.begin();
    auto value = key_value(column, layout_.columns[place], anchor_key[static_cast<std::size_t>(at)], give);
    if (!value) return std::nullopt;
    key.push_back(std::move(*value));
  }
  return key;
}

void ReturnedRows::remove_gone() {
  for (const auto& [at, seen] : touched_) {
    if (seen.parts[table_.plan.anchor]) continue;
    file_.release(name(), key_as_json(seen.key));
    const auto key = legacy_key(seen.key, false);
    if (!key) continue;
    if (const auto held = rows_->find(*key)) rows_->remove(*held);
  }
}

void ReturnedRows::write(LegacyWrites& writes) {
  for (const auto& [at, seen] : touched_)
    if (seen.parts[table_.plan.anchor]) write(seen, writes);
}

void ReturnedRows::write(const Seen& seen, LegacyWrites& writes) {
  LegacyWrite write{&*rows_, seen.key, std::nullopt, std::nullopt};
  const auto key = legacy_key(seen.key, true);
  if (!key) return writes.reject(write, layout_.columns[key_.front()].forward.source, "wrong_class");
  write.held = rows_->find(*key);
  const Mapped mapped = write.held && has_given_ ? map_forward(whole_row(*key)) : Mapped(parts_.size());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const auto in_key = std::find(key_.begin(), key_.end(), i);
    auto value = in_key == key_.end() ? value_of(i, seen, write, mapped)
                                      : (*key)[static_cast<std::size_t>(in_key - key_.begin())];
    if (const auto* misfit = std::get_if<Misfit>(&value))
      return writes.reject(write, layout_.columns[i].forward.source, std::string(name_of(*misfit)));
    write.values.push_back(std::get<Value>(std::move(value)));
    if (write.held && !identical(write.values[i], write.held->row[i])) write.changed.push_back(i);
  }
  writes.put(std::move(write));
}

// A new row's column gets what the legacy table says of rows without it.
Value ReturnedRows::stays(std::size_t column, const LegacyWrite& write) {
  if (write.held) return write.held->row[column];
  const auto& sql = columns_[column].default_sql;
  if (!sql) return Null{};
  auto row = file_.database().prepare("SELECT " + *sql);
  row.step();
  return with_affinity(row.value(0), layout_.columns[column].affinity);
}

std::variant<Value, Misfit> ReturnedRows::value_of(std::size_t place, const Seen& seen,
                                                   const LegacyWrite& write, const Mapped& mapped) {
  const Column& column = columns_[place];
  const auto& part = seen.parts[column.source.output];
  if (column.source.kind == Kind::stays || !part) return stays(place, write);
  const Value* held = write.held ? &write.held->row[place] : nullptr;
  switch (column.source.kind) {
    case Kind::passed:
      return encode_back((*part)[column.place], layout_.columns[place], held);
    case Kind::key: {
      auto value = key_value(column, layout_.columns[place], (*part)[column.place], true).value_or(Null{});
      return with_affinity(std::move(value), layout_.columns[place].affinity);
    }
    case Kind::given:
      if (held && says_the_same(column, *part, mapped)) return *held;
      return given_value(column, *part);
    case Kind::stays:
      break;
  }
  return stays(place, write);
}

// What the expression reads is what the legacy row is on the target anyway.
bool ReturnedRows::says_the_same(const Column& column, const Row& part, const Mapped& mapped) const {
  const std::size_t output = column.source.output;
  if (!mapped[output]) return false;
  const auto& places = forward_.places[output];
  return std::all_of(column.given.reads.begin(), column.given.reads.end(), [&](std::size_t place) {
    const auto at = std::find(places.begin(), places.end(), place) - places.begin();
    const Value& forward = (*mapped[output])[static_cast<std::size_t>(at)];
    const ColumnPlan& plan = table_.plans[output].columns[place];
    const auto* text = std::get_if<std::string>(&part[place]);
    return text ? means(forward, *text, plan) : means_null(forward, plan);
  });
}

std::variant<Value, Misfit> ReturnedRows::given_value(const Column& column, const Row& part) {
  const auto& plan = table_.plans[column.source.output];
  Row bound = part, results;
  for (const std::size_t place : column.given.reads)
    bound[place] = bound_value(part[place], bound_type(type_of(plan.columns[place])));
  try {
    parts_[column.source.output].engine->evaluate(bound, {column.given.expression}, results);
  } catch (const Error&) {
    return Misfit::expression_failed;
  }
  const auto at = static_cast<std::size_t>(&column - columns_.data());
  return with_affinity(std::move(results.front()), layout_.columns[at].affinity);
}

// --- what linked outputs call the rows ---

void ReturnedRows::pair_linked(postgres::Connection& target) {
  for (std::size_t i = 0; i < parts_.size() && !touched_.empty(); ++i) {
    if (table_.plan.outputs[i].link.empty()) continue;
    for (const auto& [at, linked] : linked_keys(target, i)) {
      const auto key = linked.size() == 1 ? legacy_key(touched_.at(at).key, false) : std::nullopt;
      const Row row = key ? whole_row(*key) : Row();
      if (!row.empty()) pair(i, linked.front(), row);
    }
  }
}

// For each row that was touched the keys of those that refer to it and have the constants that the map gives
// them.
std::map<std::string, std::vector<std::string>> ReturnedRows::linked_keys(postgres::Connection& target,
                                                                          std::size_t output) const {
  const TablePlan& plan = table_.plans[output];
  const ColumnPlan& link = plan.columns[place_in(output, table_.plan.outputs[output].link)];
  TargetRowsByKey query{quoted_name(plan), {&link}, {}, {}};
  query.columns = {quoted(link.target), quoted(target_of(output).key.front())};
  for (const MapColumn& column : target_of(output).columns)
    if (auto fixed = constant(column.expression.text))
      query.constants.emplace_back(quoted(column.target), *fixed);
  std::vector<Row> keys;
  for (const auto& [at, seen] : touched_)
    if (seen.parts[table_.plan.anchor]) keys.push_back(seen.key);
  std::map<std::string, std::vector<std::string>> linked;
  for (const Row& row : rows_by_key(target, query, keys))
    linked[encode(Row{row.front()})].push_back(text_of_key(row.back()));
  return linked;
}

// The key is kept as what the map's own would be.
void ReturnedRows::pair(std::size_t output, const std::string& linked, const Row& legacy_row) {
  keys_.listen();
  const auto mapped = forward_key(map_forward(legacy_row), output);
  const auto name = keys_.asked_for(mapped ? text_of_key(*mapped) : linked);
  if (name && mapped && text_of_key(*mapped) != linked) keys_.keep(*name, linked);
}

}  // namespace tidegate
