#include "apply/postgres/widening.hpp"

#include <algorithm>

namespace tidegate {

bool is_too_narrow(const TablePlan& plan, const Reject& reject) {
  auto column = std::find_if(plan.columns.begin(), plan.columns.end(),
                             [&](const ColumnPlan& each) { return each.source == reject.column; });
  if (column == plan.columns.end() || column->precision == 0 || !column->existing_type.empty()) return false;
  bool varchar = column->type == TargetType::varchar && reject.reason == name_of(Misfit::too_long);
  bool numeric = column->type == TargetType::numeric && reject.reason == name_of(Misfit::out_of_range);
  bool ruled = std::any_of(column->rules.begin(), column->rules.end(),
                           [&](const ColumnRule& rule) { return name_of(rule.on) == reject.reason; });
  return (varchar || numeric) && !ruled;
}

void widen(ColumnPlan& column) {
  if (column.type == TargetType::varchar) column.type = TargetType::text;
  column.precision = column.scale = 0;
}

}  // namespace tidegate
