// Where a target's tables are not what the plan asks for.
#pragma once

#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"

namespace tidegate::schema {

// Tables and columns that are missing, and columns of another type; what the target has beyond the plan is
// its own. Reads only.
std::vector<Finding> target_drift(postgres::Connection& target, const std::vector<TablePlan>& plans);

}  // namespace tidegate::schema
