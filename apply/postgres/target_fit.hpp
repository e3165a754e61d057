// Can the target take what the plans bring? Asked before anything is changed anywhere, and again in the
// transaction that begins the load.
#pragma once

#include <vector>

#include "apply/plan.hpp"
#include "apply/schema/planner.hpp"
#include "db/postgres.hpp"

namespace tidegate {

struct TargetTablesOptions {
  PlanOptions plan;
  bool create = true;  // false: the tables are there already, made by migrations, and are checked for fit
  bool adopt = false;  // accept tables that hold rows which tidegate did not write
  int jobs = 2;        // connections that build indexes and constraints
};

// What a source's table holds, where that is known.
struct MeasuredTable {
  const SourceTable& table;
  const TableMeasure& measure;
  ColumnMeasure column(const std::string& name) const;  // an empty one for a column that it does not have
};

struct TargetFit {
  std::vector<bool> there;        // of each plan: is its table there?
  std::vector<Finding> findings;  // columns that would alter values, or are too narrow for them; all block
};

// Makes the plans of tables that are there those of their columns: type, limits, `existing_type`, `not_null`.
// Reads only. Throws Refused for the first table that is in the way, missing, holds rows that tidegate did
// not write, or lacks what a plan needs.
TargetFit examine_fit(postgres::Connection& target, std::vector<TablePlan>& plans,
                      const TargetTablesOptions& options, const std::vector<MeasuredTable>& measured = {});

// The same; the first finding is thrown as well.
std::vector<bool> require_fit(postgres::Connection& target, std::vector<TablePlan>& plans,
                              const TargetTablesOptions& options);

// Columns of tables that maps fill, and no map writes: they keep their defaults. Those of schema auth are
// left out, since Supabase Auth has many that are its own. Reads only.
std::vector<Finding> find_unfilled(postgres::Connection& target, const std::vector<TablePlan>& plans);

}  // namespace tidegate
