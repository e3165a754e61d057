#include "apply/mapping/back/row_maker.hpp"

#include <algorithm>

#include "apply/mapping/back/target_rows.hpp"
#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/reverse_expressions.hpp"
#include "apply/meaning.hpp"
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

}  // namespace

RowMaker::RowMaker(LegacyRows& rows, ReturnKeys& keys, const ReturnedTable& table,
                   const MappingOptions& options)
    : rows_(rows), keys_(keys), table_(table), key_(key_places(table.source)) {
  reads_.resize(table.plan.outputs.size());
  engines_.resize(table.plan.outputs.size());
  make_columns();
  make_reads();
  std::vector<std::vector<std::size_t>> given(reads_.size());
  for (const Column& column : columns_)
    for (const std::size_t place : column.given.reads) add_place(given[column.source.output], place);
  forward_ = std::make_unique<ForwardLook>(table, given, options);
}

void RowMaker::make_columns() {
  for (const std::size_t i : writable_columns(table_.source)) {
    Column column{table_.source.columns[i].name, table_.plan.columns[i]};
    if (column.source.kind == Kind::passed || column.source.kind == Kind::key)
      column.place = table_.place_in(column.source.output, column.source.target);
    if (column.source.kind == Kind::given) make_given(column);
    const bool at_times = table_.target_of(column.source.output).condition.has_value();
    looks_forward_ = looks_forward_ || column.source.kind == Kind::given ||
                     (column.source.kind != Kind::stays && at_times);
    columns_.push_back(std::move(column));
  }
}

void RowMaker::make_given(Column& column) {
  const std::size_t output = column.source.output;
  auto& engine = engines_[output];
  if (!engine) engine.emplace(reverse_engine(table_.target_of(output), &table_.plans[output]));
  const std::string& expression = column.source.reverse->expression.text;
  column.given = {engine->add(expression), columns_read(expression, names_of(table_.target_of(output)))};
}

void RowMaker::make_reads() {
  for (std::size_t i = 0; i < reads_.size(); ++i) {
    const ReturnOutput& output = table_.plan.outputs[i];
    if (!output.is_part) continue;
    for (const std::string& name : output.made_key) reads_[i].push_back(table_.place_in(i, name));
  }
  for (const Column& column : columns_) {
    auto& read = reads_[column.source.output];
    const bool one = column.source.kind == Kind::passed || column.source.kind == Kind::key;
    if (one) add_place(read, column.place);
    for (const std::size_t place : column.given.reads) add_place(read, place);
  }
}

// --- keys ---

std::variant<Value, Misfit> RowMaker::key_value(std::size_t place, const Value& target, bool give) {
  const Column& column = columns_[place];
  const auto* text = std::get_if<std::string>(&target);
  if (!text) return Misfit::null_key;
  if (column.source.kind != Kind::key) return rows_.back(place, target, nullptr);
  const ColumnKey& key = *column.source.key;
  auto value = give ? keys_.find_or_give(key, *text) : keys_.find(key, *text);
  if (!value) return Misfit::other_owner;
  return rows_.stored(place, std::move(*value));
}

std::optional<Row> RowMaker::legacy_key(const Row& name, bool give) {
  const auto& names = table_.plan.anchor_output().made_key;
  Row key;
  for (const std::size_t place : key_) {
    const auto at = std::find(names.begin(), names.end(), columns_[place].source.target) - names.begin();
    auto value = key_value(place, name[static_cast<std::size_t>(at)], give);
    if (std::holds_alternative<Misfit>(value)) return std::nullopt;
    key.push_back(std::get<Value>(std::move(value)));
  }
  return key;
}

// --- values ---

std::variant<ReturnedRow, RowMaker::Refusal> RowMaker::make(const SeenRow& seen, const Row& key) {
  ReturnedRow made{seen.name, rows_.find(key)};
  whole_ = made.held && looks_forward_ ? rows_.whole(key) : Row();
  const auto mapped = whole_.empty() ? forward_->nothing() : forward_->map(whole_);
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const auto in_key = std::find(key_.begin(), key_.end(), i);
    auto value = in_key == key_.end() ? value_of(i, seen, made, mapped)
                                      : key[static_cast<std::size_t>(in_key - key_.begin())];
    if (const auto* misfit = std::get_if<Misfit>(&value))
      return Refusal{columns_[i].name, std::string(name_of(*misfit))};
    made.values.push_back(std::get<Value>(std::move(value)));
    if (made.held && !identical(made.values[i], made.held->row[i])) made.changed.push_back(i);
  }
  return made;
}

Value RowMaker::stays(std::size_t column, const ReturnedRow& made) {
  return made.held ? made.held->row[column] : rows_.default_of(column);
}

// A part with a condition of its own that is gone: where the column is what it hung on (`parent_id is not
// null`), it is NULL now.
Value RowMaker::without_part(std::size_t place, const ReturnedRow& made, const ForwardLook::Mapped& mapped) {
  const Column& column = columns_[place];
  const SourceColumn& described = *table_.source.column(column.name);
  if (!made.held || described.not_null || !mapped[column.source.output]) return stays(place, made);
  Row without = whole_;
  const auto& names = table_.relation.columns;
  const auto at = std::find(names.begin(), names.end(), column.name) - names.begin();
  without[static_cast<std::size_t>(at)] = Null{};
  return forward_->map(without)[column.source.output] ? stays(place, made) : Null{};
}

std::variant<Value, Misfit> RowMaker::value_of(std::size_t place, const SeenRow& seen,
                                               const ReturnedRow& made, const ForwardLook::Mapped& mapped) {
  const Column& column = columns_[place];
  const auto& part = seen.parts[column.source.output];
  if (column.source.kind == Kind::stays) return stays(place, made);
  if (!part) return without_part(place, made, mapped);
  const Value* held = made.held ? &made.held->row[place] : nullptr;
  switch (column.source.kind) {
    case Kind::passed:
      return rows_.back(place, (*part)[column.place], held);
    case Kind::key:
      if (is_null((*part)[column.place])) return Null{};
      return key_value(place, (*part)[column.place], true);
    case Kind::given:
      if (held && says_the_same(column, *part, mapped)) return *held;
      return given_value(place, *part);
    case Kind::stays:
      break;
  }
  return stays(place, made);
}

// What the expression reads is what the legacy row is on the target anyway.
bool RowMaker::says_the_same(const Column& column, const Row& part, const ForwardLook::Mapped& mapped) const {
  const std::size_t output = column.source.output;
  if (!mapped[output]) return false;
  return std::all_of(column.given.reads.begin(), column.given.reads.end(), [&](std::size_t place) {
    const Value& forward = forward_->value(mapped, output, place);
    const ColumnPlan& plan = table_.plans[output].columns[place];
    const auto* text = std::get_if<std::string>(&part[place]);
    return text ? means(forward, *text, plan) : means_null(forward, plan);
  });
}

std::variant<Value, Misfit> RowMaker::given_value(std::size_t place, const Row& part) {
  const Column& column = columns_[place];
  const auto& plan = table_.plans[column.source.output];
  Row bound = part, results;
  for (const std::size_t read : column.given.reads)
    bound[read] = bound_value(part[read], bound_type(type_of(plan.columns[read])));
  try {
    engines_[column.source.output]->evaluate(bound, {column.given.expression}, results);
  } catch (const Error&) {
    return Misfit::expression_failed;
  }
  return rows_.stored(place, std::move(results.front()));
}

}  // namespace tidegate
