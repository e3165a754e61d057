// Plans and changes written down in one line, for the tests of apply.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apply/plan.hpp"
#include "proto/change.hpp"

namespace tidegate::testing_support {

inline Value integer(std::int64_t value) {
  return value;
}
inline Value text(std::string value) {
  return value;
}

inline ColumnPlan column(const std::string& name, TargetType type, bool not_null = false) {
  ColumnPlan plan;
  plan.source = plan.target = name;
  plan.type = type;
  plan.not_null = not_null;
  return plan;
}

// The first column is the key.
inline TablePlan plan(const std::string& table, std::vector<ColumnPlan> columns) {
  TablePlan plan;
  plan.source = plan.target = table;
  plan.columns = std::move(columns);
  plan.columns[0].not_null = true;
  plan.key = {plan.columns[0].target};
  return plan;
}

inline Relation relation_of(const TablePlan& plan, std::uint32_t id = 1) {
  Relation relation{id, plan.source, {}, {0}};
  for (const auto& column : plan.columns) relation.columns.push_back(column.source);
  return relation;
}

inline Change inserted(Row row) {
  return {Operation::insert, 1, std::move(row), {}, {}};
}
// Its mask names every column but the key, with NULL as the old values: apply looks at the row only.
inline Change updated(Row row) {
  Change change{Operation::update, 1, std::move(row), {}, {}};
  for (std::uint32_t i = 1; i < change.row.size(); ++i) change.changed.push_back(i);
  change.old.resize(change.changed.size());
  return change;
}
inline Change removed(Row row) {
  return {Operation::remove, 1, std::move(row), {}, {}};
}

}  // namespace tidegate::testing_support
