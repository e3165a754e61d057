#include "apply/mapping/reverse_expressions.hpp"

#include <algorithm>
#include <stdexcept>

#include "apply/mapping/bound_value.hpp"
#include "apply/mapping/expression_check.hpp"
#include "apply/mapping/functions/functions.hpp"
#include "apply/mapping/refusals.hpp"

namespace tidegate {
namespace {

Affinity affinity_in(const TablePlan* plan, std::size_t column) {
  return plan ? affinity_of(bound_type(sql_type(plan->columns.at(column)))) : Affinity::blob;
}

void check(const MapColumn& reverse, const MapDefinition& map) {
  const PlacedText& text = reverse.expression;
  if (!is_balanced(text.text)) throw not_an_expression(text, "an expression");
  if (auto why = not_repeatable(text.text); !why.empty()) throw not_repeatable_expression(text, why);
  const auto over = [&](const MapTarget& target) { return is_over(reverse, target); };
  if (std::any_of(map.to.begin(), map.to.end(), over)) return;
  RowEngine engine = reverse_engine(map.to.front(), nullptr);
  try {
    engine.add(text.text);
  } catch (const std::invalid_argument& complaint) {
    throw reverse_does_not_compile(text, engine.offset(), complaint.what(), map);
  }
}

}  // namespace

RowEngine reverse_engine(const MapTarget& target, const TablePlan* plan) {
  std::vector<EngineColumn> columns;
  for (std::size_t i = 0; i < target.columns.size(); ++i)
    columns.push_back({target.columns[i].target, affinity_in(plan, i)});
  return RowEngine(
      std::move(columns), [](sqlite::Database& engine) { add_functions(engine, {}); }, target.table);
}

bool is_over(const MapColumn& reverse, const MapTarget& target) {
  try {
    reverse_engine(target, nullptr).add(reverse.expression.text);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

void check_reverse(const MapDefinition& map) {
  for (const MapColumn& reverse : map.reverse) check(reverse, map);
}

}  // namespace tidegate
