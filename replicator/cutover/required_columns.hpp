// Whether a side still has what its plans write and read.
#pragma once

#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"

namespace tidegate::cutover {

// Throws Refused ("way-back-schema-changed") where a table of these plans, which lead to this side, is gone
// or lacks one of its columns. `side` as an operator knows it: "target". Changes nothing.
void require_columns(postgres::Connection& connection, const std::vector<TablePlan>& plans, const char* side);

}  // namespace tidegate::cutover
