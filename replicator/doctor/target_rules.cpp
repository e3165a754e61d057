#include "replicator/doctor/target_rules.hpp"

#include <boost/json.hpp>

namespace tidegate {
namespace {

constexpr const char* unique_sql = R"(
SELECT x.indexrelid::pg_catalog.regclass::text,
       (SELECT pg_catalog.json_agg(a.attname ORDER BY k.place)
        FROM pg_catalog.unnest(x.indkey[0:x.indnkeyatts - 1]) WITH ORDINALITY AS k(number, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number)
FROM pg_catalog.pg_index x
WHERE x.indrelid = $1::pg_catalog.regclass AND x.indisunique AND x.indexprs IS NULL
  AND (x.indpred IS NULL OR pg_catalog.pg_get_expr(x.indpred, x.indrelid) LIKE '%is_sso_user%')
ORDER BY x.indisprimary DESC, 1)";

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
    rules.unique.push_back({std::string(unique.text(i, 0)), names(unique.text(i, 1))});
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
