// What the rows of a SQLite source's tables without a map will meet on the target, row by row: the keys
// behind the plan's counts, and what the target's own rules refuse. Writes nothing anywhere.
#pragma once

#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {

// Findings warn: what does not fit goes to the quarantine row by row. Where a plan counted rows of the kind
// already (`counted`), the finding gets their keys, else one is added. `target`: null where its tables are
// not there yet, or cannot be asked; else the plans must know the target's types. `trial`: where rows are
// tried for the [[check]] of their table, in a transaction that nobody commits; null where none are.
void examine_unmapped_rows(postgres::Connection* target, postgres::Connection* trial,
                           const Settings& settings, const PlannedPipeline& planned,
                           std::vector<Finding>& counted);

}  // namespace tidegate
