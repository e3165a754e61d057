#include "apply/mapping/mapped_plan.hpp"

#include <algorithm>

#include "apply/mapping/refusals.hpp"

namespace tidegate {

TablePlan mapped_plan(const MapOutput& output, bool printed) {
  const MapTarget& target = *output.target;
  TablePlan plan;
  plan.source = output.name;
  plan.from = output.map->from;
  plan.schema = target.schema;
  plan.target = target.table;
  plan.key = target.key;
  plan.contributor = target.contributor;
  if (target.rows) plan.rows = target.rows->text;
  for (const auto& mapped : target.columns) {
    ColumnPlan& column = plan.columns.emplace_back();
    column.source = column.target = mapped.target;
    column.type = printed ? TargetType::native : TargetType::text;
    column.where = mapped.expression.where;
  }
  for (const auto& type : target.types) {
    auto column = std::find_if(plan.columns.begin(), plan.columns.end(),
                               [&](const ColumnPlan& each) { return each.target == type.column; });
    if (column == plan.columns.end()) throw type_of_no_column(type);
    column->existing_type = type.type.text;
    column->where = type.type.where;
  }
  return plan;
}

}  // namespace tidegate
