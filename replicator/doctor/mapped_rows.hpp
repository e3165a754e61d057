// What a mapping's rows will meet on the target, found before anything runs: all rows of the source are
// mapped as a run would map them, and held against the target's types, enums, unique values and parents.
// Writes nothing anywhere.
#pragma once

#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {

// Findings warn: what does not fit goes to the quarantine row by row. `planned.plans` must know the target's
// types. Rows are named by their keys, the first few of each kind. What surrogate() and unique_value() fill
// is not compared, since their answers are made in the run.
std::vector<Finding> examine_mapped_rows(postgres::Connection& target, const Settings& settings,
                                         const PlannedPipeline& planned);

}  // namespace tidegate
