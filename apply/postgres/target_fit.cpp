#include "apply/postgres/target_fit.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "db/error.hpp"

namespace tidegate {
namespace {

constexpr const char* columns_sql = R"sql(
SELECT a.attname, pg_catalog.format_type(a.atttypid, NULL), a.attnotnull,
       a.atthasdef OR a.attidentity <> '' AS has_default, a.attgenerated <> '' AS generated
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped)sql";

constexpr const char* unique_on_key_sql = R"sql(
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_index i
  WHERE i.indrelid = pg_catalog.to_regclass($1) AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
    AND (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attname::text)
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
      = (SELECT pg_catalog.array_agg(k ORDER BY k) FROM unnest($2::text[]) AS k)))sql";

std::string text_array(const std::vector<std::string>& names) {
  std::string array = "{";
  for (const auto& name : names) {
    if (array.size() > 1) array += ',';
    array += '"';
    for (char c : name) {
      if (c == '"' || c == '\\') array += '\\';
      array += c;
    }
    array += '"';
  }
  return array + "}";
}

std::string shown_name(const TablePlan& plan) { return plan.schema + "." + plan.target; }

Refused does_not_fit(const TablePlan& plan, const std::string& why) {
  return Refused("table-does-not-fit", fmt::format("table {} of the target does not fit: {}", shown_name(plan), why),
                 "change it with your migrations, or exclude it ([tables] exclude)");
}

bool is_there(postgres::Connection& target, const TablePlan& plan) {
  return target.run("SELECT pg_catalog.to_regclass($1) IS NOT NULL", {quoted_name(plan)}).boolean(0, 0);
}

void refuse_rows(postgres::Connection& target, const TablePlan& plan) {
  if (!target.run(fmt::format("SELECT EXISTS (SELECT FROM {})", quoted_name(plan))).boolean(0, 0)) return;
  throw Refused("table-holds-rows",
                fmt::format("table {} of the target holds rows that tidegate did not write", shown_name(plan)),
                "empty it, exclude it ([tables] exclude), or accept its rows with --adopt");
}

void check_presence(const TablePlan& plan, bool there, const TargetTablesOptions& options) {
  if (there && options.create && !options.adopt) {
    throw Refused("table-exists", fmt::format("table {} is already in the target", shown_name(plan)),
                  "drop it, exclude it ([tables] exclude), or let tidegate fill it as it is ([target] schema = "
                  "\"existing\")");
  }
  if (!there && !options.create) {
    throw Refused("table-missing", fmt::format("table {} is not in the target", shown_name(plan)),
                  "make it with your migrations, or let tidegate create it ([target] schema = \"create\")");
  }
}

// A column that is there is written in its own type; one that must be filled and is not is a reason to refuse.
void check_columns(postgres::Connection& target, TablePlan& plan) {
  auto rows = target.run(columns_sql, {quoted_name(plan)});
  for (ColumnPlan& column : plan.columns) {
    int found = 0;
    while (found < rows.rows() && rows.text(found, 0) != column.target) ++found;
    if (found == rows.rows()) throw does_not_fit(plan, "it has no column " + column.target);
    if (rows.boolean(found, 4)) throw does_not_fit(plan, "its column " + column.target + " is generated");
    column.existing_type = rows.text(found, 1);
    column.not_null = column.not_null || rows.boolean(found, 2);
  }
  for (int i = 0; i < rows.rows(); ++i) {
    bool written = std::any_of(plan.columns.begin(), plan.columns.end(),
                               [&](const ColumnPlan& column) { return column.target == rows.text(i, 0); });
    if (!written && rows.boolean(i, 2) && !rows.boolean(i, 3) && !rows.boolean(i, 4)) {
      throw does_not_fit(plan, fmt::format("its column {} is NOT NULL without a default, and the source has nothing for it",
                                           rows.text(i, 0)));
    }
  }
}

void check_key(postgres::Connection& target, const TablePlan& plan) {
  if (target.run(unique_on_key_sql, {quoted_name(plan), text_array(plan.key)}).boolean(0, 0)) return;
  throw does_not_fit(plan, fmt::format("it has no primary key or unique index on ({})", fmt::join(plan.key, ", ")));
}

}  // namespace

std::vector<bool> require_fit(postgres::Connection& target, std::vector<TablePlan>& plans,
                              const TargetTablesOptions& options) {
  std::vector<bool> there;
  for (TablePlan& plan : plans) {
    there.push_back(is_there(target, plan));
    check_presence(plan, there.back(), options);
    if (!there.back()) continue;
    if (!options.adopt) refuse_rows(target, plan);
    check_columns(target, plan);
    check_key(target, plan);
  }
  return there;
}

}  // namespace tidegate
