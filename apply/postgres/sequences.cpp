#include "apply/postgres/sequences.hpp"

#include <boost/json.hpp>

#include "apply/plan.hpp"

namespace tidegate {
namespace {

namespace json = boost::json;

constexpr int margin_steps = 1000, renewed_at_steps = 200;

// found(number, s): which of ours stand for each of theirs.
constexpr const char* found_sql = R"sql(
WITH ends AS MATERIALIZED (SELECT e.*, pg_catalog.to_regclass(e.sequence) AS named, a.attrelid, a.attnum, a.atthasdef
  FROM pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb)
    AS e(number int, sequence text, owner text, attribute text, last numeric, increment numeric)
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = pg_catalog.to_regclass(e.owner)
    AND a.attname = e.attribute AND a.attnum > 0 AND NOT a.attisdropped),
drawn AS (
  SELECT e.number, c.oid AS s FROM ends AS e
  JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.refobjid = e.attrelid AND d.refobjsubid = e.attnum AND d.deptype IN ('a', 'i')
    AND d.classid = d.refclassid
  JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
  UNION
  SELECT e.number, c.oid FROM ends AS e
  JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = e.attrelid AND f.adnum = e.attnum
  JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  JOIN pg_catalog.pg_class AS c ON c.oid = d.refobjid AND c.relkind = 'S'),
found AS (
  SELECT d.number, d.s FROM drawn AS d JOIN ends AS e USING (number)
  WHERE d.s = e.named OR NOT EXISTS (SELECT FROM drawn AS o WHERE o.number = d.number AND o.s = e.named)
  UNION
  SELECT e.number, c.oid FROM ends AS e JOIN pg_catalog.pg_class AS c ON c.oid = e.named AND c.relkind = 'S'
  WHERE NOT EXISTS (SELECT FROM drawn AS o WHERE o.number = e.number))
)sql";

// A sequence that is near its end is moved as far as it goes.
constexpr const char* lift_sql = R"sql(
SELECT pg_catalog.setval(s, wanted::bigint) FROM (
  SELECT q.seqrelid::pg_catalog.regclass AS s, pg_catalog.sign(q.seqincrement) AS sign,
    CASE WHEN q.seqincrement > 0 THEN pg_catalog.max(e.last + e.increment * $3::numeric)
      ELSE pg_catalog.min(e.last + e.increment * $3::numeric) END AS needed,
    CASE WHEN q.seqincrement > 0 THEN least(q.seqmax, pg_catalog.max(e.last + e.increment * $2::numeric))
      ELSE greatest(q.seqmin, pg_catalog.min(e.last + e.increment * $2::numeric)) END AS wanted,
    coalesce(pg_catalog.pg_sequence_last_value(q.seqrelid), q.seqstart) AS last
  FROM found AS f JOIN ends AS e USING (number) JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = f.s
  GROUP BY q.seqrelid, q.seqincrement, q.seqmax, q.seqmin, q.seqstart) AS those
WHERE (needed - last) * sign > 0)sql";

constexpr const char* set_sql = R"sql(
SELECT pg_catalog.setval(q.seqrelid::pg_catalog.regclass,
  (CASE WHEN q.seqincrement > 0 THEN pg_catalog.max(e.last) ELSE pg_catalog.min(e.last) END)::bigint)
FROM found AS f JOIN ends AS e USING (number) JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = f.s
GROUP BY q.seqrelid, q.seqincrement)sql";

constexpr const char* look_sql = R"sql(
SELECT f.s IS NOT NULL, e.attnum IS NOT NULL AND pg_catalog.pg_get_serial_sequence(e.owner, e.attribute) IS NOT NULL,
  f.s IS NULL OR pg_catalog.has_sequence_privilege(f.s, 'UPDATE'), coalesce(e.atthasdef, false)
FROM ends AS e LEFT JOIN LATERAL (SELECT s FROM found WHERE found.number = e.number ORDER BY s LIMIT 1) AS f ON true
ORDER BY e.number)sql";

json::value name_of(const SequenceEnd& end) {
  if (end.name.empty()) return nullptr;
  return json::value_from(quoted(end.schema) + "." + quoted(end.name));
}

std::string as_json(const std::vector<SequenceEnd>& ends) {
  json::array all;
  for (const auto& end : ends)
    all.push_back({{"number", all.size()},
                   {"sequence", name_of(end)},
                   {"owner", end.table},
                   {"attribute", end.column},
                   {"last", end.last},
                   {"increment", end.increment}});
  return json::serialize(all);
}

}  // namespace

void lift_sequences(postgres::Connection& here, const std::vector<SequenceEnd>& ends) {
  if (ends.empty()) return;
  here.run(std::string(found_sql) + lift_sql,
           {as_json(ends), std::to_string(margin_steps), std::to_string(renewed_at_steps)});
}

void raise_sequences(postgres::Connection& here, const std::vector<SequenceEnd>& ends) {
  if (!ends.empty()) here.run(std::string(found_sql) + lift_sql, {as_json(ends), "0", "0"});
}

void set_sequences_exactly(postgres::Connection& here, const std::vector<SequenceEnd>& ends) {
  if (!ends.empty()) here.run(std::string(found_sql) + set_sql, {as_json(ends)});
}

std::vector<SequenceHere> look_for_sequences(postgres::Connection& here,
                                             const std::vector<SequenceEnd>& ends) {
  std::vector<SequenceHere> seen;
  if (ends.empty()) return seen;
  auto rows = here.run(std::string(found_sql) + look_sql, {as_json(ends)});
  for (int i = 0; i < rows.rows(); ++i)
    seen.push_back({rows.boolean(i, 0), rows.boolean(i, 1), rows.boolean(i, 2), rows.boolean(i, 3)});
  return seen;
}

}  // namespace tidegate
