#include "replicator/pipeline/source_rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/plan.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

std::string type_of(const capture::PostgresTable& table, const std::string& column) {
  auto found = std::find_if(table.columns.begin(), table.columns.end(),
                            [&](const capture::PostgresColumn& each) { return each.name == column; });
  if (found == table.columns.end())
    throw Error("table " + table.source + " lost column " + column, "", Advice::stop);
  return found->type_unbound;
}

std::string select_by_key(const capture::PostgresTable& table, const Relation& relation) {
  std::vector<std::string> columns, matches;
  for (const auto& column : relation.columns) columns.push_back(quoted(column));
  for (auto place : relation.key) {
    const std::string& column = relation.columns[place];
    matches.push_back(
        fmt::format("{} = ${}::{}", quoted(column), matches.size() + 1, type_of(table, column)));
  }
  return fmt::format("SELECT {} FROM {}{} WHERE {}", fmt::join(columns, ", "),
                     table.partitioned ? "" : "ONLY ", capture::quoted_name(table.schema, table.name),
                     fmt::join(matches, " AND "));
}

postgres::Result run_select(postgres::Connection& source, const capture::PostgresTable& table,
                            const Relation& relation, const std::vector<postgres::Parameter>& key) {
  try {
    return source.run(select_by_key(table, relation), key);
  } catch (const Error& error) {
    rethrow_unless_altered(error, table.source);
  }
}

}  // namespace

void rethrow_unless_altered(const Error& error, const std::string& table) {
  if (error.code() != "42703") throw;
  throw Error("table " + table + " of the source is being altered: " + error.what(), error.code(),
              Advice::retry);
}

std::optional<Row> read_source_row(postgres::Connection& source, const capture::PostgresTable& table,
                                   const Relation& relation, const Row& key) {
  std::vector<postgres::Parameter> parameters;
  for (const Value& value : key) parameters.emplace_back(std::get<std::string>(value));
  auto found = run_select(source, table, relation, parameters);
  if (found.rows() == 0) return std::nullopt;
  Row row;
  for (int i = 0; i < found.columns(); ++i) {
    if (found.is_null(0, i)) {
      row.emplace_back(Null{});
    } else {
      row.emplace_back(std::string(found.text(0, i)));
    }
  }
  return row;
}

}  // namespace tidegate
