#include "replicator/pipeline/new_shape.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/schema/native/native_plan.hpp"

namespace tidegate {
namespace {

using capture::PostgresColumn;
using capture::PostgresTable;

const PostgresColumn* column_named(const PostgresTable& table, const std::string& name) {
  auto found = std::find_if(table.columns.begin(), table.columns.end(),
                            [&](const auto& each) { return each.name == name; });
  return found == table.columns.end() ? nullptr : &*found;
}

void wish_rules(const PostgresColumn& column, NewShape& shape) {
  if (!column.default_sql.empty())
    shape.wishes.push_back(
        fmt::format("ALTER COLUMN {} SET DEFAULT {}", quoted(column.name), column.default_sql));
  if (column.not_null)
    shape.wishes.push_back(fmt::format("ALTER COLUMN {} SET NOT NULL", quoted(column.name)));
}

void add(const PostgresColumn& column, NewShape& shape) {
  std::string generated =
      column.generated ? fmt::format(" GENERATED ALWAYS AS ({}) STORED", column.generated_sql) : "";
  shape.changes.push_back(
      fmt::format("ADD COLUMN IF NOT EXISTS {} {}{}", quoted(column.name), column.type, generated));
  if (!column.generated) wish_rules(column, shape);
}

void retype(const PostgresColumn& column, const std::string& target, NewShape& shape) {
  PostgresColumn named = column;
  named.name = target;
  shape.changes.push_back(fmt::format("ALTER COLUMN {} DROP DEFAULT", quoted(target)));
  shape.changes.push_back(
      fmt::format("ALTER COLUMN {} TYPE {} USING NULL::{}", quoted(target), column.type, column.type));
  wish_rules(named, shape);
}

void refuse_generated(const PostgresTable& known, const PostgresColumn& column) {
  auto* before = column_named(known, column.name);
  bool same =
      before && before->generated == column.generated && before->generated_sql == column.generated_sql;
  if (!before || same) return;
  throw Refused(
      "generated-column",
      "the expression of column " + column.name + " of table " + known.source + " changed at the source",
      "drop and make the column on the target too, undo the change at the source, or fill a new target");
}

const ColumnPlan* planned(const TablePlan& plan, const std::string& source) {
  auto found = std::find_if(plan.columns.begin(), plan.columns.end(),
                            [&](const ColumnPlan& each) { return each.source == source; });
  return found == plan.columns.end() ? nullptr : &*found;
}

}  // namespace

NewShape new_shape(const PostgresTable& known, const PostgresTable& now, const TablePlan& plan) {
  TablePlan fresh = native_plan(capture::as_source_table(now));
  NewShape shape{plan, {}, {}};
  shape.plan.columns.clear();
  for (const PostgresColumn& column : now.columns) {
    refuse_generated(known, column);
    auto* there = planned(plan, column.name);
    auto* before = column_named(known, column.name);
    if (!there && !(before && before->generated)) add(column, shape);
    // A resync that did not come to its end may have added it with another type.
    if (!there && before && !column.generated) retype(column, column.name, shape);
    if (column.generated) continue;
    shape.plan.columns.push_back(*planned(fresh, column.name));
    if (!there) continue;
    bool retyped = before && before->type != column.type;
    if (retyped) retype(column, there->target, shape);
    shape.plan.columns.back() = retyped ? shape.plan.columns.back() : *there;
    shape.plan.columns.back().target = there->target;
  }
  shape.plan.key.clear();
  for (const auto& name : now.identity) shape.plan.key.push_back(planned(shape.plan, name)->target);
  return shape;
}

std::vector<std::string> columns_that_went(const TablePlan& plan, const PostgresTable& now) {
  std::vector<std::string> names;
  for (const auto& column : plan.columns) {
    if (!column_named(now, column.source)) names.push_back(column.target);
  }
  return names;
}

}  // namespace tidegate
