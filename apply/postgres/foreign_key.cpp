#include "apply/postgres/foreign_key.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "apply/postgres/statements.hpp"

namespace tidegate {
namespace {

// One row for each column of each foreign key.
constexpr const char* references_sql = R"sql(
SELECT c.conname, pg_catalog.format('"%s"."%s"', pg_catalog.replace(s.nspname, '"', '""'), pg_catalog.replace(p.relname, '"', '""')),
       a.attname, b.attname, pg_catalog.format_type(a.atttypid, -1), pg_catalog.format_type(b.atttypid, -1)
FROM pg_catalog.pg_constraint c CROSS JOIN unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(mine, theirs, n)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.mine
JOIN pg_catalog.pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.theirs
JOIN pg_catalog.pg_class p ON p.oid = c.confrelid
JOIN pg_catalog.pg_namespace s ON s.oid = p.relnamespace
WHERE c.contype = 'f' AND c.conrelid = pg_catalog.to_regclass($1)
ORDER BY c.conname, k.n)sql";

// Places of the columns in the plan.
std::optional<std::vector<std::size_t>> places_of(const std::vector<ForeignKey::Column>& columns,
                                                  std::string ForeignKey::Column::*name,
                                                  const TablePlan& plan) {
  std::vector<std::size_t> places;
  for (const auto& column : columns) {
    for (std::size_t i = 0; i < plan.columns.size(); ++i) {
      if (plan.columns[i].target == column.*name) places.push_back(i);
    }
  }
  return places.size() == columns.size() ? std::optional(std::move(places)) : std::nullopt;
}

std::string condition(const ForeignKey& key, const std::string& row, const std::vector<std::string>& names) {
  std::vector<std::string> parts, matches;
  for (std::size_t i = 0; i < names.size(); ++i) {
    parts.push_back(row + names[i] + " IS NOT NULL");
    matches.push_back("p." + quoted(key.columns[i].parent_name) + " = " + row + names[i]);
  }
  return fmt::format("{} AND NOT EXISTS (SELECT FROM {} AS p WHERE {})", fmt::join(parts, " AND "),
                     key.parent, fmt::join(matches, " AND "));
}

}  // namespace

std::vector<ForeignKey> ForeignKey::of(postgres::Connection& target, const std::string& table) {
  const auto rows = target.run(references_sql, {table});
  std::vector<ForeignKey> keys;
  for (int i = 0; i < rows.rows(); ++i) {
    if (keys.empty() || keys.back().constraint != rows.text(i, 0))
      keys.push_back({std::string(rows.text(i, 0)), std::string(rows.text(i, 1)), {}});
    keys.back().columns.push_back({std::string(rows.text(i, 2)), std::string(rows.text(i, 3)),
                                   std::string(rows.text(i, 4)), std::string(rows.text(i, 5))});
  }
  return keys;
}

std::string ForeignKey::domain() const {
  std::string domain = parent;
  for (const Column& column : columns) domain += " " + quoted(column.parent_name) + " " + column.type;
  return domain;
}

std::string ForeignKey::is_orphan(const std::string& row) const {
  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(quoted(column.name));
  return condition(*this, row, names);
}

std::optional<ForeignKey::Parents> ForeignKey::parents_of(const RowMapper& mapper,
                                                          const std::vector<const Row*>& rows,
                                                          const KnownParents* known) const {
  const auto places = places_of(columns, &Column::name, mapper.plan());
  if (!places) return std::nullopt;
  std::unordered_set<std::string> seen;
  std::vector<std::string> arrays(columns.size(), "{");
  std::vector<std::string> names(columns.size());
  Parents parents;
  const std::string of = domain();
  for (const Row* row : rows) {
    if (!mapper.names_row(*row, *places, names)) continue;
    std::string name = fmt::to_string(fmt::join(names, ","));
    if ((known && known->contains(of, name)) || !seen.insert(name).second) continue;
    for (std::size_t i = 0; i < arrays.size(); ++i)
      arrays[i] += (parents.names.empty() ? "" : ",") + names[i];
    parents.names.push_back(std::move(name));
  }
  for (auto& array : arrays) parents.arrays.emplace_back(std::move(array) + "}");
  return parents;
}

bool ForeignKey::is_named_alike() const {
  return std::all_of(columns.begin(), columns.end(),
                     [](const Column& column) { return column.type == column.parent_type; });
}

std::vector<std::string> ForeignKey::names_of_parents(const RowMapper& parent,
                                                      const std::vector<const Row*>& rows) const {
  std::vector<std::string> all, names(columns.size());
  const auto places = places_of(columns, &Column::parent_name, parent.plan());
  if (!places || !is_named_alike()) return all;
  for (const Row* row : rows) {
    if (parent.names_row(*row, *places, names)) all.push_back(fmt::to_string(fmt::join(names, ",")));
  }
  return all;
}

std::string ForeignKey::missing_sql() const {
  std::vector<std::string> arrays, names, given;
  for (std::size_t i = 1; i <= columns.size(); ++i) {
    arrays.push_back(fmt::format("${}::{}[]", i, columns[i - 1].type));
    names.push_back(fmt::format("r{}", i));
  }
  return fmt::format("SELECT EXISTS (SELECT FROM unnest({}) AS k({}) WHERE {})", fmt::join(arrays, ", "),
                     fmt::join(names, ", "), condition(*this, "k.", names));
}

}  // namespace tidegate
