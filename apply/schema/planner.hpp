// What becomes of one table, decided from its description and its measured values. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "proto/table.hpp"

namespace tidegate {

// One [[rule]] of tidegate.toml.
struct NamedRule {
  std::string table, column;
  ColumnRule rule;
};

struct Grant {
  std::string role;
  std::vector<std::string> privileges;  // "SELECT", "INSERT", …
};

struct PlanOptions {
  std::string schema = "public";
  std::vector<NamedRule> rules;
  std::vector<Grant> grants;
  std::vector<std::string> revoke_from;  // roles that must get nothing by the target's default privileges
  bool enable_rls = true;
};

// The column by which a table without a primary key is found on the target.
inline constexpr const char* kRidSource = "_rid";
inline constexpr const char* kRidTarget = "_tidegate_rid";

struct PlannedTable {
  TablePlan plan;
  std::vector<Finding> findings;
};

// `measure.columns` is as `table.columns`; an empty measure (no columns) stands for an empty table.
PlannedTable plan_table(const SourceTable& table, const TableMeasure& measure, const PlanOptions& options);

// The code of the finding that counts rows of which a value does not fit: "misfit-zero-date".
std::string finding_code(Misfit misfit);

// A column that the target computes itself: its type and its expression there. Nothing for a column that is
// written, also where it is generated at the source but its expression has no translation. `plan` needs the
// written columns only.
struct GeneratedColumn {
  ColumnPlan column;
  std::string expression;
};
std::optional<GeneratedColumn> generated_on_target(const SourceTable& table, const TablePlan& plan,
                                                   const SourceColumn& column);

}  // namespace tidegate
