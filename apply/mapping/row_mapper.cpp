#include "apply/mapping/row_mapper.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "apply/mapping/mapped_row.hpp"

namespace tidegate {
namespace {

std::size_t place_of(const std::string& column, const Relation& relation) {
  auto found = std::find(relation.columns.begin(), relation.columns.end(), column);
  if (found == relation.columns.end()) {
    throw std::invalid_argument("table " + relation.table + " has no column " + column +
                                ", which its plan reads");
  }
  return static_cast<std::size_t>(found - relation.columns.begin());
}

std::size_t plan_place(const std::string& target, const TablePlan& plan) {
  for (std::size_t i = 0; i < plan.columns.size(); ++i) {
    if (plan.columns[i].target == target) return i;
  }
  throw std::invalid_argument("the plan of table " + plan.source + " has no column for its key " + target);
}

// As Postgres prints it: any other spelling of the same one is another key in the source.
bool is_canonical_uuid(std::string_view text) {
  constexpr std::string_view form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  auto fits = [](char c, char in_form) {
    return in_form == '-' ? c == '-' : std::string_view("0123456789abcdef").find(c) != std::string_view::npos;
  };
  return std::equal(text.begin(), text.end(), form.begin(), form.end(), fits);
}

// 1, '1' and x'31' are three keys in SQLite and must not become one row: a text comes from a text only, and
// bytes from bytes.
bool fits_key(const Value& value, const ColumnPlan& column) {
  const TargetType type = column.type;
  if (column.existing_type == "uuid") {
    auto* text = std::get_if<std::string>(&value);
    return text && is_canonical_uuid(*text);
  }
  if (type == TargetType::text || type == TargetType::varchar)
    return std::holds_alternative<std::string>(value);
  // A date with a time of day beside it is another key in the source, but not in the target.
  if (type == TargetType::date) {
    auto* text = std::get_if<std::string>(&value);
    return text && text->size() == std::string_view("2000-01-31").size();
  }
  return type != TargetType::bytea || std::holds_alternative<Blob>(value);
}

}  // namespace

RowMapper::RowMapper(const TablePlan& plan, const Relation& relation)
    : plan_(&plan), relation_(relation), mapped_(is_mapped(relation)) {
  for (const auto& column : plan.columns) source_.push_back(place_of(column.source, relation));
  for (const auto& name : plan.key) key_.push_back(plan_place(name, plan));
  all_.resize(plan.columns.size());
  std::iota(all_.begin(), all_.end(), 0);
}

std::string RowMapper::source_key(const Row& row) const {
  return key_as_json(key_of(relation_, row));
}

Reject RowMapper::reject(const Row& row) const {
  Reject reject;
  reject.source_key = source_key(row);
  reject.key_bytes = encode(key_of(relation_, row));
  reject.target_key = key_arrays(row);
  return reject;
}

std::vector<std::string> RowMapper::key_arrays(const Row& row) const {
  std::vector<std::string> arrays;
  for (auto column : key_) {
    std::string& array = arrays.emplace_back("{");
    if (encode_place(row, column, array, encode_array_element).state == Encoded::State::misfit) return {};
    array += '}';
  }
  return arrays;
}

void RowMapper::explain(const Row& row, std::size_t column, Misfit misfit, Reject& why) const {
  why = reject(row);
  why.column = plan_->columns[column].source;
  why.reason = name_of(misfit);
}

Encoded RowMapper::encode_place(const Row& row, std::size_t column, std::string& out,
                                Encoded (*form)(const Value&, const ColumnPlan&, std::string&)) const {
  const ColumnPlan& plan = plan_->columns[column];
  const Value& value = row[source_[column]];
  bool is_key = std::find(key_.begin(), key_.end(), column) != key_.end();
  if (is_key && is_null(value)) return {Encoded::State::misfit, Misfit::null_key};
  if (is_key && !fits_key(value, plan)) return {Encoded::State::misfit, Misfit::wrong_class};
  return form(value, plan, out);
}

std::optional<std::string> RowMapper::target_key(const Row& row, Reject& why) const {
  std::string key;
  for (auto column : key_) {
    Encoded encoded = encode_place(row, column, key, encode_array_element);
    if (encoded.state == Encoded::State::misfit) {
      explain(row, column, encoded.misfit, why);
      return std::nullopt;
    }
    key += ',';
  }
  return key;
}

bool RowMapper::append(const Row& row, const std::vector<std::size_t>& columns,
                       std::vector<std::string>& arrays, Reject& why) const {
  arrays.resize(columns.size(), "{");
  std::vector<std::size_t> before;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    before.push_back(arrays[i].size());
    if (arrays[i].size() > 1) arrays[i] += ',';
    Encoded encoded = encode_place(row, columns[i], arrays[i], encode_array_element);
    if (encoded.state != Encoded::State::misfit) continue;
    for (std::size_t j = 0; j <= i; ++j) arrays[j].resize(before[j]);
    explain(row, columns[i], encoded.misfit, why);
    return false;
  }
  return true;
}

// The mapping could not make all of the row.
bool RowMapper::refuse_misfit(const Row& row, Reject& why) const {
  auto misfit = mapped_ ? misfit_of(relation_, row) : std::nullopt;
  if (!misfit) return false;
  why = reject(row);
  why.column = misfit->column;
  why.reason = name_of(misfit->misfit);
  return true;
}

bool RowMapper::append_row(const Row& row, std::vector<std::string>& arrays, Reject& why) const {
  if (refuse_misfit(row, why)) return false;
  return append(row, all_, arrays, why);
}

bool RowMapper::append_key(const Row& row, std::vector<std::string>& arrays, Reject& why) const {
  return append(row, key_, arrays, why);
}

bool RowMapper::names_row(const Row& row, const std::vector<std::size_t>& places,
                          std::vector<std::string>& into) const {
  for (std::size_t i = 0; i < places.size(); ++i) {
    into[i].clear();
    if (is_null(row[source_[places[i]]])) return false;
    if (encode_place(row, places[i], into[i], encode_array_element).state != Encoded::State::value)
      return false;
  }
  return true;
}

bool RowMapper::append_copy_line(const Row& row, std::string& lines, Reject& why) const {
  if (refuse_misfit(row, why)) return false;
  std::size_t before = lines.size();
  for (auto column : all_) {
    if (column) lines += '\t';
    Encoded encoded = encode_place(row, column, lines, encode_copy_field);
    if (encoded.state != Encoded::State::misfit) continue;
    lines.resize(before);
    explain(row, column, encoded.misfit, why);
    return false;
  }
  lines += '\n';
  return true;
}

}  // namespace tidegate
