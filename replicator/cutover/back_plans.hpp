// Which tables of a legacy Postgres database are filled from the target after a cutover, and from which.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"
#include "proto/table.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate::cutover {

struct BackPlans {
  // One for each table of the legacy database that is filled from here: without a mapping from the target's
  // table, else returned_plan().
  std::vector<TablePlan> plans;
  std::vector<std::string> followed;  // tables of the target whose changes are to come
  std::vector<Finding> findings;      // what keeps mapped rows from coming back, and what of them does not
};
// Throws Refused where a table without a mapping cannot go back.
BackPlans plans_back(postgres::Connection& target, postgres::Connection& legacy, const Settings& settings);

// The legacy's tables as the maps read them, with the columns of their foreign keys.
std::vector<SourceTable> legacy_tables(postgres::Connection& legacy, const Settings& settings);

}  // namespace tidegate::cutover
