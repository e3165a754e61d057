#include "replicator/pipeline/schema_drift.hpp"

#include <algorithm>

namespace tidegate {
namespace {

using capture::PostgresColumn;
using capture::PostgresTable;

const PostgresColumn* column_named(const PostgresTable& table, const std::string& name) {
  for (const auto& column : table.columns) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

bool only_adds(const RelationChanged& change) {
  const auto &before = change.before.columns, &now = change.now.columns;
  return change.before.table == change.now.table && change.before.identity == change.now.identity &&
         before.size() < now.size() && std::equal(before.begin(), before.end(), now.begin());
}

std::string why_not_added(const PostgresColumn* column, const std::string& name) {
  if (!column) return "column " + name + " was added, and is gone again";
  if (column->not_null) return "column " + name + " was added with NOT NULL";
  if (column->has_missing)
    return "column " + name + " was added with a default, which older rows got without events";
  return "";
}

}  // namespace

Drift drift(const RelationChanged& change, const PostgresTable& known, const PostgresTable& now) {
  if (!only_adds(change)) return "its columns, its name or its replica identity changed";
  if (known.files != now.files) return "its rows were written anew (another type, or another storage)";
  for (std::size_t i = change.before.columns.size(); i < change.now.columns.size(); ++i) {
    const std::string& name = change.now.columns[i].name;
    std::string why = why_not_added(column_named(now, name), name);
    if (!why.empty()) return why;
  }
  PostgresTable carried = now;
  std::erase_if(carried.columns, [&](const PostgresColumn& column) {
    return !column.generated && std::none_of(change.now.columns.begin(), change.now.columns.end(),
                                             [&](const auto& each) { return each.name == column.name; });
  });
  return capture::as_source_table(carried);
}

}  // namespace tidegate
