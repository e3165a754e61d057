// Can the target take what the plans bring? Asked before anything is changed anywhere, and again in the transaction that
// begins the load.
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
};

// Says of each plan whether its table is there. Sets `existing_type` and `not_null` of the columns of those that are. Reads only. Throws
// Refused for the first table that is in the way, missing, holds rows that tidegate did not write, or does not fit.
std::vector<bool> require_fit(postgres::Connection& target, std::vector<TablePlan>& plans,
                              const TargetTablesOptions& options);

}  // namespace tidegate
