// The plan of a mapped relation, as far as the file alone says it; examine_fit() adds the target's types.
#pragma once

#include "apply/mapping/mapped_table.hpp"
#include "apply/plan.hpp"

namespace tidegate {

// `printed`: the values are texts as Postgres prints them. A type that the file names is in `existing_type`.
TablePlan mapped_plan(const MapOutput& output, bool printed);

}  // namespace tidegate
