#include "apply/mapping/back/target_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/encode.hpp"

namespace tidegate {
namespace {

// One array literal for each column of the key.
std::vector<postgres::Parameter> arrays_of(const std::vector<Row>& keys, std::size_t width) {
  ColumnPlan text;
  std::vector<postgres::Parameter> arrays;
  for (std::size_t i = 0; i < width; ++i) {
    std::string array = "{";
    for (const Row& key : keys) {
      if (array.size() > 1) array += ',';
      encode_array_element(key[i], text, array);
    }
    arrays.emplace_back(array + "}");
  }
  return arrays;
}

std::string sql_of(const TargetRowsByKey& query) {
  std::string wanted, names, on, columns;
  const auto add = [](std::string& list, const std::string& item, const char* between) {
    list += (list.empty() ? "" : between) + item;
  };
  for (std::size_t i = 0; i < query.key.size(); ++i) {
    add(wanted, fmt::format("${}::text[]", i + 1), ", ");
    add(names, fmt::format("_tidegate_k{}", i), ", ");
    add(on,
        fmt::format("t.{} = _tidegate_w._tidegate_k{}::{}", quoted(query.key[i]->target), i,
                    type_of(*query.key[i])),
        " AND ");
  }
  for (const auto& column : query.columns) add(columns, column, ", ");
  for (const auto& [column, text] : query.constants)
    on += fmt::format(" AND t.{}::text = {}", column, postgres::literal(text));
  return fmt::format("SELECT {} FROM pg_catalog.unnest({}) AS _tidegate_w({}) JOIN {} AS t ON {}", columns,
                     wanted, names, query.table, on);
}

}  // namespace

std::string type_of(const ColumnPlan& column) {
  return column.existing_type.empty() ? sql_type(column) : column.existing_type;
}

std::vector<Row> rows_by_key(postgres::Connection& target, const TargetRowsByKey& query,
                             const std::vector<Row>& keys) {
  if (keys.empty()) return {};
  const auto found = target.run(sql_of(query), arrays_of(keys, query.key.size()));
  std::vector<Row> rows;
  for (int i = 0; i < found.rows(); ++i) {
    Row& row = rows.emplace_back();
    for (int j = 0; j < found.columns(); ++j)
      row.push_back(found.is_null(i, j) ? Value(Null{}) : Value(std::string(found.text(i, j))));
  }
  return rows;
}

Row values_in(const Relation& relation, const Row& row, const std::vector<std::string>& names) {
  Row values;
  for (const auto& name : names) {
    const auto place =
        std::find(relation.columns.begin(), relation.columns.end(), name) - relation.columns.begin();
    const bool there = static_cast<std::size_t>(place) < row.size();
    values.push_back(there ? row[static_cast<std::size_t>(place)] : Value(Null{}));
  }
  return values;
}

}  // namespace tidegate
