#include "apply/postgres/native/shape.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "apply/text_format.hpp"
#include "db/error.hpp"

namespace tidegate::native {
namespace {

// A domain is seen through for what its values are, but is cast to itself, so that its checks are made. An
// operator is named with its schema, since nothing is on the search path: citext's = would else be text's.
constexpr const char* columns_sql = R"sql(
WITH RECURSIVE base AS (
  SELECT a.attnum, t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  WHERE a.attrelid = $1::pg_catalog.regclass AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT base.attnum, t.oid, t.typtype, t.typbasetype FROM base
  JOIN pg_catalog.pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd')
SELECT a.attname, pg_catalog.format_type(a.atttypid, -1), t.typdelim, base.typtype = 'c',
  a.attidentity = 'a', t.typtype = 'd', o.oprname, n.nspname
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN base ON base.attnum = a.attnum AND base.typtype <> 'd'
LEFT JOIN (pg_catalog.pg_opclass c JOIN pg_catalog.pg_am ON pg_am.oid = c.opcmethod AND pg_am.amname = 'btree'
  JOIN pg_catalog.pg_amop m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 3
    AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
  JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr
  JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace) ON c.opcdefault AND c.opcintype = base.oid
WHERE a.attrelid = $1::pg_catalog.regclass)sql";

constexpr const char* arbiter_sql = R"sql(
SELECT EXISTS (SELECT FROM pg_catalog.pg_index i
  WHERE i.indrelid = $1::pg_catalog.regclass AND i.indisunique AND i.indimmediate AND i.indisvalid
    AND i.indpred IS NULL AND i.indexprs IS NULL
    AND (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attname)
           FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS n
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n])
      = (SELECT pg_catalog.array_agg(k ORDER BY k::pg_catalog.name) FROM unnest($2::text[]) AS k)))sql";

// text and varchar are exact as bytes, in collation "C": see match_sql.
constexpr std::array<std::string_view, 14> exact_types = {"smallint",
                                                          "integer",
                                                          "bigint",
                                                          "oid",
                                                          "boolean",
                                                          "uuid",
                                                          "bytea",
                                                          "date",
                                                          "timestamp without time zone",
                                                          "timestamp with time zone",
                                                          "time without time zone",
                                                          "text",
                                                          "character varying",
                                                          "\"char\""};

ColumnShape column_shape(const postgres::Result& rows, int row) {
  ColumnShape shape;
  shape.type = rows.text(row, 1);
  shape.delimiter = rows.text(row, 2).front();
  bool is_domain = rows.boolean(row, 5);
  shape.one_by_one = shape.type.ends_with("[]") || rows.boolean(row, 3);
  shape.identity_always = rows.boolean(row, 4);
  if (!rows.is_null(row, 6)) {
    bool built_in = rows.text(row, 7) == "pg_catalog";
    std::string name(rows.text(row, 6));
    shape.equality = built_in ? name : "OPERATOR(" + quoted(rows.text(row, 7)) + "." + name + ")";
  }
  shape.exact =
      !is_domain && std::find(exact_types.begin(), exact_types.end(), shape.type) != exact_types.end();
  return shape;
}

std::string name_array(const std::vector<std::string>& names) {
  std::string array = "{";
  for (const auto& name : names) {
    if (array.size() > 1) array += ',';
    append_array_element(name, array);
  }
  return array + "}";
}

}  // namespace

Shape shape_of(postgres::Connection& target, const TablePlan& plan) {
  auto rows = target.run(columns_sql, {quoted_name(plan)});
  std::unordered_map<std::string, ColumnShape> by_name;
  for (int i = 0; i < rows.rows(); ++i) by_name.emplace(rows.text(i, 0), column_shape(rows, i));
  Shape shape;
  for (const auto& column : plan.columns) {
    auto found = by_name.find(column.target);
    if (found == by_name.end()) {
      throw Error("the target's table " + quoted_name(plan) + " has no column " + quoted(column.target),
                  "42703", Advice::stop);
    }
    shape.columns.push_back(found->second);
  }
  shape.arbiter =
      !plan.key.empty() && target.run(arbiter_sql, {quoted_name(plan), name_array(plan.key)}).boolean(0, 0);
  return shape;
}

}  // namespace tidegate::native
