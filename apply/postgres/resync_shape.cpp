#include "apply/postgres/resync_shape.hpp"

#include <fmt/format.h>

#include "apply/postgres/row_errors.hpp"

namespace tidegate {
namespace {

constexpr const char* differing_sql = R"sql(
SELECT s.attname, pg_catalog.format_type(s.atttypid, s.atttypmod), s.attgenerated <> '', s.attnotnull, t.attname IS NULL,
  coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_catalog.pg_attribute s
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = s.attrelid AND d.adnum = s.attnum
LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = $1::pg_catalog.regclass AND t.attname = s.attname AND NOT t.attisdropped
WHERE s.attrelid = $2::pg_catalog.regclass AND s.attnum > 0 AND NOT s.attisdropped
  AND (t.attname IS NULL OR (t.atttypid, t.atttypmod) <> (s.atttypid, s.atttypmod))
ORDER BY s.attnum)sql";

}  // namespace

ShapeChange::ShapeChange(postgres::Connection& target, const TablePlan& plan, const TablePlan& staging)
    : table_(quoted_name(plan)) {
  auto rows = target.run(differing_sql, {table_, quoted_name(staging)});
  for (int i = 0; i < rows.rows(); ++i) {
    Column column{std::string(rows.text(i, 0)), std::string(rows.text(i, 1)), std::string(rows.text(i, 5)),
                  rows.boolean(i, 2), rows.boolean(i, 3)};
    (rows.boolean(i, 4) ? added_ : retyped_).push_back(std::move(column));
  }
}

std::string ShapeChange::alter(const std::string& piece) const {
  return fmt::format("ALTER TABLE {} {}", table_, piece);
}

void ShapeChange::before_rows(postgres::Connection& target) const {
  for (const Column& column : added_) {
    target.run(alter(fmt::format(
        "ADD COLUMN {} {}{}", quoted(column.name), column.type,
        column.generated ? fmt::format(" GENERATED ALWAYS AS ({}) STORED", column.default_sql) : "")));
  }
  for (const Column& column : retyped_) {
    target.run(alter(fmt::format("ALTER COLUMN {} DROP DEFAULT", quoted(column.name))));
    target.run(
        alter(fmt::format("ALTER COLUMN {0} TYPE {1} USING NULL::{1}", quoted(column.name), column.type)));
  }
}

void ShapeChange::rules(const Column& column, std::vector<std::string>& out) const {
  if (!column.default_sql.empty() && !column.generated)
    out.push_back(
        alter(fmt::format("ALTER COLUMN {} SET DEFAULT {}", quoted(column.name), column.default_sql)));
  if (column.not_null) out.push_back(alter(fmt::format("ALTER COLUMN {} SET NOT NULL", quoted(column.name))));
}

void ShapeChange::after_rows(postgres::Connection& target) const {
  std::vector<std::string> statements;
  for (const Column& column : added_) rules(column, statements);
  for (const Column& column : retyped_) rules(column, statements);
  for (const auto& statement : statements) attempt_ddl(target, statement);
}

}  // namespace tidegate
