#include "replicator/cutover/target_before.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "apply/schema/planner.hpp"

namespace tidegate::cutover {
namespace {

namespace json = boost::json;

constexpr const char* fact_name = "target_before_cutover";
constexpr std::size_t most_named = 5;

// A partition's rows are its table's. What the server computes is not lost.
constexpr const char* tables_sql = R"sql(
SELECT coalesce(pg_catalog.json_object_agg(n.nspname || '.' || c.relname, (
    SELECT coalesce(pg_catalog.json_agg(a.attname ORDER BY a.attnum), '[]') FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attname <> $2)
  ORDER BY n.nspname, c.relname), '{}')::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname IN (SELECT plan ->> 'schema' FROM tidegate.tables WHERE pipeline = $1)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.objid = c.oid AND d.deptype = 'e'))sql";

std::string tables_of(postgres::Connection& target, const std::string& pipeline) {
  return std::string(target.run(tables_sql, {pipeline, kRidTarget}).text(0, 0));
}

std::string listed(const char* one, const char* many, const std::vector<std::string>& names) {
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), most_named); ++i)
    list += (list.empty() ? "" : ", ") + names[i];
  const auto more = names.size() > most_named ? fmt::format(" and {} more", names.size() - most_named) : "";
  return fmt::format("{} {}{}", names.size() == 1 ? one : many, list, more);
}

}  // namespace

void remember_target(ControlStore& store, postgres::Connection& target, const std::string& pipeline) {
  store.set_fact(fact_name, tables_of(target, pipeline));
}

LeftBehind left_behind(ControlStore& store, postgres::Connection& target, const std::string& pipeline) {
  LeftBehind left;
  const auto before = store.fact(fact_name);
  left.is_known = before.has_value();
  if (!before) return left;
  const auto then = json::parse(*before).as_object();
  const auto now = json::parse(tables_of(target, pipeline)).as_object();
  for (const auto& [table, columns] : now) {
    const auto* known = then.if_contains(table);
    if (!known) left.tables.emplace_back(table);
    if (!known) continue;
    for (const auto& column : columns.as_array()) {
      const auto& there = known->as_array();
      if (std::find(there.begin(), there.end(), column) == there.end())
        left.columns.push_back(std::string(table) + "." + std::string(column.as_string()));
    }
  }
  return left;
}

std::string in_words(const LeftBehind& left) {
  std::string what;
  if (!left.tables.empty()) what = listed("table", "tables", left.tables);
  if (!left.columns.empty())
    what += (what.empty() ? "" : ", and ") + listed("column", "columns", left.columns);
  if (what.empty()) return "";
  return "the target has got what the legacy database does not have, and a rollback would leave behind: " +
         what;
}

}  // namespace tidegate::cutover
