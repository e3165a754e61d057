#include "replicator/pipeline/source_orphans.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "capture/sqlite/live_read.hpp"
#include "proto/change.hpp"
#include "replicator/pipeline/found_rows.hpp"

namespace tidegate {
namespace {

const SourceTable* named(const std::vector<SourceTable>& tables, const std::string& name) {
  const auto found =
      std::find_if(tables.begin(), tables.end(), [&](const SourceTable& each) { return each.name == name; });
  return found == tables.end() ? nullptr : &*found;
}

std::vector<std::string> key_sql(const SourceTable& table) {
  if (table.identity == Identity::rowid) return {"c." + table.rowid_name()};
  std::vector<std::string> columns;
  for (const auto& name : table.primary_key) columns.push_back("c." + sqlite::quoted(name));
  return columns;
}

// The parent's column stands first: its collation decides, as in SQLite's own check. A join, since SQLite
// makes an index of its own for one where the parent has none.
std::string orphans_sql(const SourceTable& child, const Reference& reference) {
  std::vector<std::string> filled, equal;
  for (std::size_t i = 0; i < reference.columns.size(); ++i) {
    const std::string column = "c." + sqlite::quoted(reference.columns[i]);
    filled.push_back(column + " IS NOT NULL");
    equal.push_back(fmt::format("p.{} = {}", sqlite::quoted(reference.parent_columns[i]), column));
  }
  return fmt::format("SELECT {} FROM {} AS c LEFT JOIN {} AS p ON {} WHERE {} AND p.{} IS NULL",
                     fmt::join(key_sql(child), ", "), sqlite::quoted(reference.child),
                     sqlite::quoted(reference.parent), fmt::join(equal, " AND "), fmt::join(filled, " AND "),
                     sqlite::quoted(reference.parent_columns.front()));
}

FoundRows orphans_of(sqlite::Database& live, const SourceTable& child, const Reference& reference) {
  FoundRows found;
  auto rows = live.prepare(orphans_sql(child, reference));
  Row key;
  while (rows.step()) {
    rows.read_row(key, 0, rows.columns());
    found.add(key_as_json(key));
  }
  return found;
}

}  // namespace

std::vector<Reference> declared_references(const std::vector<SourceTable>& tables) {
  std::vector<Reference> references;
  for (const auto& child : tables) {
    for (const auto& key : child.foreign_keys) {
      const bool whole = !key.columns.empty() && key.columns.size() == key.parent_columns.size();
      if (whole && named(tables, key.parent))
        references.push_back({child.name, key.columns, key.parent, key.parent_columns});
    }
  }
  return references;
}

std::vector<Finding> find_orphans(const std::string& path, const std::vector<SourceTable>& tables,
                                  const std::vector<Reference>& references) {
  std::vector<Finding> findings;
  capture::read_live(path, [&](sqlite::Database& live) {
    for (const auto& reference : references) {
      const auto found = orphans_of(live, *named(tables, reference.child), reference);
      if (found.rows == 0) continue;
      findings.push_back(
          {Finding::Level::warn, "orphans", reference.child, reference.columns.front(),
           fmt::format("{} of table {} refer by {} to rows of {} that do not exist: they are "
                       "copied, and the target's foreign key stays NOT VALID; where it is "
                       "checked all the same, they go to the quarantine",
                       found.text(), reference.child, fmt::join(reference.columns, ", "), reference.parent),
           "bring the parents back, or clear the references, in the source"});
    }
  });
  return findings;
}

}  // namespace tidegate
