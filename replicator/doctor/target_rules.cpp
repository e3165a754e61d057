#include "replicator/doctor/target_rules.hpp"

#include <boost/json.hpp>

namespace tidegate {
namespace {

// An index has attributes of its own, with the types of its keys.
constexpr const char* unique_sql = R"(
WITH indexes AS (
  SELECT x.*, (pg_catalog.pg_get_expr(x.indpred, x.indrelid) LIKE '%is_sso_user%') IS NOT true AND x.indpred IS NOT NULL AS limited
  FROM pg_catalog.pg_index x WHERE x.indrelid = $1::pg_catalog.regclass AND x.indisunique)
SELECT x.indexrelid::pg_catalog.regclass::text, c.names, c.types, k.keys,
       CASE WHEN x.limited THEN pg_catalog.pg_get_expr(x.indpred, x.indrelid) ELSE '' END,
       x.indexprs IS NULL AND NOT x.limited AND NOT k.folds
FROM indexes x
CROSS JOIN LATERAL (
  SELECT pg_catalog.json_agg(CASE t.typname WHEN 'citext' THEN pg_catalog.format('pg_catalog.lower((%s)::text)', d.def)
             WHEN 'numeric' THEN pg_catalog.format('pg_catalog.trim_scale(%s)::text', d.def)
             ELSE pg_catalog.format('(%s)::text', d.def) END ORDER BY i.attnum) AS keys,
         pg_catalog.bool_or(t.typname = 'citext') AS folds,
         pg_catalog.bool_and(coalesce(l.collisdeterministic, true)) AS comparable
  FROM pg_catalog.pg_attribute i CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_indexdef(x.indexrelid, i.attnum, true) AS def) d
  JOIN pg_catalog.pg_type t ON t.oid = i.atttypid LEFT JOIN pg_catalog.pg_collation l ON l.oid = i.attcollation
  WHERE i.attrelid = x.indexrelid AND i.attnum <= x.indnkeyatts) k
CROSS JOIN LATERAL (
  SELECT pg_catalog.json_agg(a.attname ORDER BY place, a.attnum) AS names,
         pg_catalog.json_agg(pg_catalog.format_type(a.atttypid, NULL) ORDER BY place, a.attnum) AS types
  FROM (SELECT a.attname, a.attnum, a.atttypid, coalesce(pg_catalog.array_position(x.indkey::int2[], a.attnum), 9999) AS place
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = x.indrelid AND a.attnum > 0
          AND (a.attnum = ANY (x.indkey[0:x.indnkeyatts - 1]) OR ((x.indexprs IS NOT NULL OR x.limited) AND EXISTS (
                 SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                 AND d.objid = x.indexrelid AND d.refclassid = d.classid AND d.refobjid = x.indrelid
                 AND d.refobjsubid = a.attnum)))) a) c
WHERE k.comparable ORDER BY x.indisprimary DESC, 1)";

constexpr const char* parents_sql = R"(
SELECT c.conname,
       (SELECT pg_catalog.json_agg(a.attname ORDER BY k.place) FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k(number, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number),
       n.nspname || '.' || p.relname,
       (SELECT pg_catalog.json_agg(a.attname ORDER BY k.place) FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY AS k(number, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number)
FROM pg_catalog.pg_constraint c
JOIN pg_catalog.pg_class p ON p.oid = c.confrelid JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
WHERE c.conrelid = $1::pg_catalog.regclass AND c.contype = 'f' ORDER BY c.conname)";

constexpr const char* labels_sql = R"(
SELECT a.attname, e.enumlabel FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_enum e ON e.enumtypid = a.atttypid
WHERE a.attrelid = $1::pg_catalog.regclass AND NOT a.attisdropped)";

std::vector<std::string> names(std::string_view text) {
  std::vector<std::string> out;
  const boost::json::value parsed = boost::json::parse({text.data(), text.size()});
  for (const auto& name : parsed.as_array()) out.emplace_back(name.as_string());
  return out;
}

}  // namespace

TableRules read_rules(postgres::Connection& target, const TablePlan& plan) {
  TableRules rules;
  const std::vector<postgres::Parameter> table = {quoted_name(plan)};
  const auto unique = target.run(unique_sql, table);
  for (int i = 0; i < unique.rows(); ++i)
    rules.unique.push_back({std::string(unique.text(i, 0)), names(unique.text(i, 1)),
                            names(unique.text(i, 2)), names(unique.text(i, 3)),
                            std::string(unique.text(i, 4)), unique.boolean(i, 5)});
  const auto parents = target.run(parents_sql, table);
  for (int i = 0; i < parents.rows(); ++i)
    rules.parents.push_back({std::string(parents.text(i, 0)), names(parents.text(i, 1)),
                             std::string(parents.text(i, 2)), names(parents.text(i, 3))});
  const auto labels = target.run(labels_sql, table);
  for (int i = 0; i < labels.rows(); ++i)
    rules.labels[std::string(labels.text(i, 0))].emplace(labels.text(i, 1));
  return rules;
}

}  // namespace tidegate
