#include "apply/postgres/outside_references.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apply/postgres/statements.hpp"
#include "apply/text_format.hpp"

namespace tidegate {
namespace {

// Names come as arrays in text form; asking for them joined by a character that no identifier can hold saves
// a parser.
constexpr const char* references_sql = R"sql(
SELECT parent.oid::pg_catalog.regclass::text, child.oid::pg_catalog.regclass::text, con.confdeltype,
  (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), E'\x01' ORDER BY n)
     FROM unnest(con.conkey) WITH ORDINALITY AS k(attnum, n)
     JOIN pg_catalog.pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum),
  (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), E'\x01' ORDER BY n)
     FROM unnest(con.confkey) WITH ORDINALITY AS k(attnum, n)
     JOIN pg_catalog.pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.attnum)
FROM pg_catalog.pg_constraint con
JOIN pg_catalog.pg_class parent ON parent.oid = con.confrelid
JOIN pg_catalog.pg_class child ON child.oid = con.conrelid
WHERE con.contype = 'f' AND con.conparentid = 0
  AND con.confrelid = pg_catalog.to_regclass($1) AND NOT con.conrelid = ANY ($2::pg_catalog.regclass[]))sql";

std::vector<std::string> split(std::string_view joined) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= joined.size();) {
    std::size_t end = std::min(joined.find('\x01', at), joined.size());
    parts.emplace_back(joined.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string existing_tables(TargetSession& session, const Plans& plans) {
  std::string array = "{";
  for (const auto& [source, plan] : plans) {
    bool there = session.connection()
                     .run("SELECT pg_catalog.to_regclass($1) IS NOT NULL", {quoted_name(plan)})
                     .boolean(0, 0);
    if (!there) continue;
    if (array.size() > 1) array += ',';
    append_array_element(quoted_name(plan), array);
  }
  return array + "}";
}

}  // namespace

OutsideReferences::OutsideReferences(TargetSession& session, const Plans& plans) {
  if (!session.replica_mode()) return;  // the server itself acts on foreign keys
  std::string ours = existing_tables(session, plans);
  for (const auto& [source, plan] : plans) {
    auto rows = session.connection().run(references_sql, {quoted_name(plan), ours});
    for (int i = 0; i < rows.rows(); ++i) {
      by_parent_[quoted_name(plan)].push_back({std::string(rows.text(i, 1)), split(rows.text(i, 3)),
                                               split(rows.text(i, 4)), rows.text(i, 2).front()});
    }
  }
}

std::string OutsideReferences::action_sql(const TablePlan& plan, const Reference& reference,
                                          const std::string& gone) {
  std::vector<std::string> joins, nulls, defaults;
  for (std::size_t i = 0; i < reference.child_columns.size(); ++i) {
    joins.push_back(fmt::format("c.{} = t.{}", reference.child_columns[i], reference.parent_columns[i]));
    nulls.push_back(reference.child_columns[i] + " = NULL");
    defaults.push_back(reference.child_columns[i] + " = DEFAULT");
  }
  std::string rows = fmt::format("{} AS t{} AND {}", quoted_name(plan), gone, fmt::join(joins, " AND "));
  switch (reference.action) {
    case 'c':
      return fmt::format("DELETE FROM {} AS c USING {}", reference.child, rows);
    case 'n':
      return fmt::format("UPDATE {} AS c SET {} FROM {}", reference.child, fmt::join(nulls, ", "), rows);
    case 'd':
      return fmt::format("UPDATE {} AS c SET {} FROM {}", reference.child, fmt::join(defaults, ", "), rows);
    default:
      return fmt::format("SELECT tidegate.still_referenced({}) FROM {} AS c, {} LIMIT 1",
                         postgres::literal(reference.child), reference.child, rows);
  }
}

// The actions run with triggers and foreign keys on, so that they reach their own children in turn.
void OutsideReferences::act(const TablePlan& plan, const std::string& gone,
                            const std::vector<postgres::Parameter>& keys,
                            std::vector<postgres::Command>& commands) const {
  auto found = by_parent_.find(quoted_name(plan));
  if (found == by_parent_.end()) return;
  commands.push_back({"SET LOCAL session_replication_role = origin", {}});
  for (const Reference& reference : found->second) {
    commands.push_back({action_sql(plan, reference, gone), keys});
  }
  commands.push_back({"SET LOCAL session_replication_role = replica", {}});
}

void OutsideReferences::before_delete(const TablePlan& plan, const std::vector<std::string>& key_arrays,
                                      std::vector<postgres::Command>& commands) const {
  if (plan.contributor) return;
  act(plan, ", " + matching_keys(plan), {key_arrays.begin(), key_arrays.end()}, commands);
}

void OutsideReferences::before_delete_of_all(const TablePlan& plan,
                                             std::vector<postgres::Command>& commands) const {
  act(plan, " WHERE true", {}, commands);
}

void OutsideReferences::before_delete_where(const TablePlan& plan, const std::string& condition,
                                            std::vector<postgres::Command>& commands) const {
  act(plan, condition, {}, commands);
}

}  // namespace tidegate
