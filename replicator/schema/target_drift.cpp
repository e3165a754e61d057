#include "replicator/schema/target_drift.hpp"

namespace tidegate::schema {
namespace {

constexpr const char* column_sql = R"(
SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid = pg_catalog.to_regtype($3)
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped)";

constexpr const char* mend = "`tidegate schema apply`, or a migration of your own";

// Of a mapped column: what the mapping says; empty where it says nothing.
std::string planned_type(const TablePlan& plan, const ColumnPlan& column) {
  const bool asked = column.type == TargetType::native || !plan.from.empty();
  return asked ? column.existing_type : sql_type(column);
}

void look_at_columns(postgres::Connection& target, const TablePlan& plan, std::vector<Finding>& findings) {
  for (const ColumnPlan& column : plan.columns) {
    const std::string name = shown_name(plan) + "." + column.target, type = planned_type(plan, column);
    auto there = target.run(column_sql, {quoted_name(plan), column.target, type.empty() ? "text" : type});
    if (there.rows() == 0) {
      findings.push_back({Finding::Level::warn, "target-lacks-column", shown_name(plan), column.target,
                          "the target has no column " + name, mend});
    } else if (!type.empty() && (there.is_null(0, 1) || !there.boolean(0, 1))) {
      findings.push_back(
          {Finding::Level::warn, "target-other-type", shown_name(plan), column.target,
           "the target has " + name + " as " + std::string(there.text(0, 0)) + ", the plan as " + type,
           mend});
    }
  }
}

}  // namespace

std::vector<Finding> target_drift(postgres::Connection& target, const std::vector<TablePlan>& plans) {
  std::vector<Finding> findings;
  for (const TablePlan& plan : plans) {
    if (target.run("SELECT pg_catalog.to_regclass($1)", {quoted_name(plan)}).is_null(0, 0))
      findings.push_back({Finding::Level::warn, "target-lacks-table", shown_name(plan), "",
                          "the target has no table " + shown_name(plan), mend});
    else
      look_at_columns(target, plan, findings);
  }
  return findings;
}

}  // namespace tidegate::schema
