#include "replicator/pipeline/rules_of_tables.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate {
namespace {

Finding idle_check(const Check& check) {
  return {Finding::Level::warn,
          "check-without-table",
          check.table,
          "",
          fmt::format("the [[check]] of table {} is asked of no row: no such table is filled", check.table),
          "name a table as the target has it (\"public.children\")"};
}

Finding idle_rule(const Rule& rule, const char* why, const char* mend) {
  return {Finding::Level::warn,
          "rule-without-table",
          rule.table,
          rule.column,
          fmt::format("the [[rule]] of column {} of table {} is applied to no value: {}", rule.column,
                      rule.table, why),
          mend};
}

}  // namespace

bool is_about(const Check& check, const TablePlan& plan) {
  return check.table == plan.source || check.table == shown_name(plan) ||
         (plan.schema == "public" && check.table == plan.target);
}

std::vector<Finding> idle_rules(const Settings& settings, const std::vector<TablePlan>& plans) {
  std::vector<Finding> findings;
  const auto any = [&](auto&& holds) { return std::any_of(plans.begin(), plans.end(), holds); };
  for (const Check& check : settings.checks) {
    if (!any([&](const TablePlan& plan) { return is_about(check, plan); }))
      findings.push_back(idle_check(check));
  }
  for (const Rule& rule : settings.rules) {
    if (settings.source.end.kind == Endpoint::Kind::postgres)
      findings.push_back(idle_rule(rule, "the source's values have types of their own",
                                   "take it out; a [[map]] can change values"));
    else if (any([&](const TablePlan& plan) { return plan.from == rule.table; }))
      findings.push_back(
          idle_rule(rule, "a [[map]] takes the table", "say it in the [[map.to]]'s expression"));
    else if (!any([&](const TablePlan& plan) { return plan.source == rule.table; }))
      findings.push_back(idle_rule(rule, "no such table is copied", "correct the name, or take it out"));
  }
  return findings;
}

}  // namespace tidegate
