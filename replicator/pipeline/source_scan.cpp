#include "replicator/pipeline/source_scan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/plan.hpp"
#include "apply/schema/tokens.hpp"
#include "capture/sqlite/live_read.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using Give = std::function<void(const Row&)>;

constexpr int fetched_at_once = 1000;  // rows that the client holds

// Of a SQLite table none of whose columns has the name.
std::string rowid_of(const Relation& relation) {
  for (const char* name : {"rowid", "_rowid_", "oid"}) {
    if (std::none_of(relation.columns.begin(), relation.columns.end(),
                     [&](const std::string& column) { return ascii_lower(column) == name; }))
      return name;
  }
  return {};
}

std::string select_sql(const Relation& relation, const std::string& table, std::int64_t count) {
  std::vector<std::string> columns;
  for (const auto& name : relation.columns)
    columns.push_back(name == kRidSource ? rowid_of(relation) : tidegate::quoted(name));
  const std::string limit = count == all_rows ? "" : fmt::format(" LIMIT {}", count);
  return fmt::format("SELECT {} FROM {}{}", fmt::join(columns, ", "), table, limit);
}

void scan_file(const Settings& settings, const Relation& relation, std::int64_t count, const Give& give) {
  capture::read_live(settings.source.end.path, [&](sqlite::Database& live) {
    auto found = live.prepare(select_sql(relation, sqlite::quoted(relation.table), count));
    Row row;
    while (found.step()) {
      found.read_row(row, 0, found.columns());
      give(row);
    }
  });
}

Row row_of(const postgres::Result& rows, int place) {
  Row row;
  for (int c = 0; c < rows.columns(); ++c)
    row.push_back(rows.is_null(place, c) ? Value(Null{}) : Value(std::string(rows.text(place, c))));
  return row;
}

void scan_server(const Settings& settings, const Relation& relation, std::int64_t count, const Give& give) {
  auto source = connect_source(source_options(settings, "tidegate scan"));
  const auto dot = relation.table.find('.');
  const std::string table = tidegate::quoted(relation.table.substr(0, dot)) + "." +
                            tidegate::quoted(relation.table.substr(dot + 1));
  postgres::Transaction transaction(source, "BEGIN READ ONLY");
  source.run("DECLARE scanned NO SCROLL CURSOR FOR " + select_sql(relation, table, count));
  while (true) {
    const auto rows = source.run(fmt::format("FETCH {} FROM scanned", fetched_at_once));
    for (int i = 0; i < rows.rows(); ++i) give(row_of(rows, i));
    if (rows.rows() < fetched_at_once) return;
  }
}

}  // namespace

void each_source_row(const Settings& settings, const Relation& relation, std::int64_t count,
                     const Give& give) {
  if (settings.source.end.kind == Endpoint::Kind::postgres)
    scan_server(settings, relation, count, give);
  else
    scan_file(settings, relation, count, give);
}

}  // namespace tidegate
