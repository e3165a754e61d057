#include "replicator/doctor/server_orphans.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "capture/postgres/foreign_keys.hpp"
#include "db/error.hpp"
#include "proto/change.hpp"
#include "replicator/pipeline/found_rows.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

constexpr std::string_view longest_look = "60s";

const capture::PostgresTable* named(const std::vector<capture::PostgresTable>& tables,
                                    const std::string& source) {
  const auto found = std::find_if(tables.begin(), tables.end(),
                                  [&](const capture::PostgresTable& each) { return each.source == source; });
  return found == tables.end() ? nullptr : &*found;
}

std::string from_sql(const capture::PostgresTable& table) {
  return (table.partitioned ? "" : "ONLY ") + capture::quoted_name(table.schema, table.name);
}

const std::vector<std::string>& key_of(const capture::PostgresTable& table) {
  return table.primary_key.empty() ? table.identity : table.primary_key;
}

// How many there are, and of the first their keys.
std::string orphans_sql(const capture::PostgresTable& child, const capture::PostgresTable& parent,
                        const Reference& reference) {
  std::vector<std::string> shown{"count(*) OVER ()"}, filled, equal;
  for (const auto& name : key_of(child)) shown.push_back("c." + tidegate::quoted(name));
  for (std::size_t i = 0; i < reference.columns.size(); ++i) {
    const std::string column = "c." + tidegate::quoted(reference.columns[i]);
    filled.push_back(column + " IS NOT NULL");
    equal.push_back(fmt::format("p.{} = {}", tidegate::quoted(reference.parent_columns[i]), column));
  }
  const std::string order =
      key_of(child).empty()
          ? ""
          : " ORDER BY " + fmt::format("{}", fmt::join(shown.begin() + 1, shown.end(), ", "));
  return fmt::format(
      "SELECT {} FROM {} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {}){} LIMIT {}",
      fmt::join(shown, ", "), from_sql(child), fmt::join(filled, " AND "), from_sql(parent),
      fmt::join(equal, " AND "), order, keys_shown);
}

FoundRows orphans_of(postgres::Connection& source, const std::string& sql) {
  FoundRows found;
  const auto rows = source.run(sql);
  std::uint64_t all = 0;
  for (int i = 0; i < rows.rows(); ++i) {
    Row key;
    for (int c = 1; c < rows.columns(); ++c) key.emplace_back(std::string(rows.text(i, c)));
    if (!key.empty()) found.add(key_as_json(key));
    all = static_cast<std::uint64_t>(rows.integer(i, 0));
  }
  found.rows = all;
  return found;
}

Finding orphans_finding(const Reference& reference, const FoundRows& found) {
  return {Level::warn,
          "orphans",
          reference.child,
          reference.columns.front(),
          fmt::format(
              "{} of table {} refer by {} to rows of {} that do not exist: they are copied, and the target's "
              "foreign key stays NOT VALID; where it is checked all the same, they go to the quarantine",
              found.first.empty() ? format_rows(found.rows) : found.text(), reference.child,
              fmt::join(reference.columns, ", "), reference.parent),
          "bring the parents back, or clear the references, in the source"};
}

Finding not_looked(const Reference& reference) {
  return {Level::note,
          "orphans-not-looked-for",
          reference.child,
          reference.columns.front(),
          fmt::format(
              "whether all rows of {} that refer by {} to {} have their parent was not found out within {}",
              reference.child, fmt::join(reference.columns, ", "), reference.parent, longest_look),
          "an index on the parent's columns helps; verify looks again on the target"};
}

}  // namespace

std::vector<Reference> declared_references(postgres::Connection& source,
                                           const std::vector<capture::PostgresTable>& tables) {
  std::vector<Reference> references;
  for (const auto& [child, key] : capture::read_foreign_keys(source)) {
    if (named(tables, child) && named(tables, key.parent))
      references.push_back({child, key.columns, key.parent, key.parent_columns});
  }
  return references;
}

std::vector<Finding> find_orphans(postgres::Connection& source,
                                  const std::vector<capture::PostgresTable>& tables,
                                  const std::vector<Reference>& references) {
  std::vector<Finding> findings;
  for (const auto& reference : references) {
    const auto *child = named(tables, reference.child), *parent = named(tables, reference.parent);
    if (!child || !parent) continue;
    postgres::Transaction transaction(source, "BEGIN READ ONLY");
    source.run(fmt::format("SET LOCAL statement_timeout = '{}'", longest_look));
    try {
      const auto found = orphans_of(source, orphans_sql(*child, *parent, reference));
      if (found.rows > 0) findings.push_back(orphans_finding(reference, found));
    } catch (const Error& error) {
      if (error.code() != "57014") throw;
      findings.push_back(not_looked(reference));
    }
  }
  return findings;
}

}  // namespace tidegate
