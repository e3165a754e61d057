#include "apply/postgres/native/arrays.hpp"

#include <numeric>
#include <stdexcept>

#include "apply/text_format.hpp"

namespace tidegate::native {
namespace {

const std::string* text_of(const Value& value) {
  if (is_null(value)) return nullptr;
  if (const auto* text = std::get_if<std::string>(&value)) return text;
  throw std::invalid_argument("a Postgres source's values are texts");
}

}  // namespace

Arrays::Arrays(const Target& target, Columns columns, bool with_key)
    : target_(&target), columns_(std::move(columns)) {
  if (with_key) key_ = target.table.key_columns();
  literals_.resize(columns_.size() + key_.size(), "{");
}

void Arrays::append(std::size_t column, const Value& value, std::string& literal) const {
  const ColumnShape& shape = target_->statements->shape().columns[column];
  if (rows_ > 0) literal += shape.one_by_one ? ',' : shape.delimiter;
  if (const std::string* text = text_of(value)) {
    append_array_element(*text, literal);
  } else {
    append_array_null(literal);
  }
}

void Arrays::append(const Row& values, const Row& key) {
  std::size_t at = 0;
  const Table& table = target_->table;
  for (auto column : columns_) append(column, table.value(values, column), literals_[at++]);
  for (auto column : key_) append(column, table.value(key, column), literals_[at++]);
  ++rows_;
}

std::vector<postgres::Parameter> Arrays::take() {
  std::vector<postgres::Parameter> parameters;
  for (auto& literal : literals_) parameters.emplace_back(std::move(literal += '}'));
  return parameters;
}

Scalars scalars(const Table& table, const Row& row) {
  Scalars result;
  for (std::size_t column = 0; column < table.plan().columns.size(); ++column) {
    const std::string* text = text_of(table.value(row, column));
    result.nulls.push_back(!text);
    if (text) result.values.emplace_back(*text);
  }
  return result;
}

Columns all_columns(const Table& table) {
  Columns columns(table.plan().columns.size());
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

}  // namespace tidegate::native
