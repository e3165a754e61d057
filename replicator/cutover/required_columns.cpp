#include "replicator/cutover/required_columns.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "db/error.hpp"

namespace tidegate::cutover {
namespace {

namespace json = boost::json;

constexpr const char* missing_sql = R"sql(
SELECT p.shown, CASE WHEN c.oid IS NULL THEN '' ELSE p.attribute END
FROM pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb) AS p(name text, shown text, attribute text)
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(p.name)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = p.attribute
  AND a.attnum > 0 AND NOT a.attisdropped)
ORDER BY 1, 2 LIMIT 1)sql";

std::string as_json(const std::vector<TablePlan>& plans) {
  json::array all;
  for (const auto& plan : plans)
    for (const auto& column : plan.columns)
      all.push_back({{"name", quoted_name(plan)}, {"shown", shown_name(plan)}, {"attribute", column.target}});
  return json::serialize(all);
}

}  // namespace

void require_columns(postgres::Connection& connection, const std::vector<TablePlan>& plans,
                     const char* side) {
  const auto missing = connection.run(missing_sql, {as_json(plans)});
  if (missing.rows() == 0) return;
  const std::string column(missing.text(0, 1));
  throw Refused("way-back-schema-changed",
                column.empty() ? fmt::format("the {} has no table {} any more", side, missing.text(0, 0))
                               : fmt::format("table {} of the {} has no column {} any more",
                                             missing.text(0, 0), side, column),
                "undo that change");
}

}  // namespace tidegate::cutover
