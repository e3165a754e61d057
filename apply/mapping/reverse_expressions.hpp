// [map.reverse]: expressions that give a column of the source's table back from the target's row. They are
// over the columns that the map fills of one output.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/definition.hpp"
#include "apply/mapping/row_engine.hpp"
#include "apply/plan.hpp"

namespace tidegate {

// The engine of one output's rows, whose columns compare as values of the target's types do. `plan`: of that
// output; none where the target's types are not known, which is enough to compile.
RowEngine reverse_engine(const MapTarget& target, const TablePlan* plan);

// Does the expression compile over the output's columns?
bool is_over(const MapColumn& reverse, const MapTarget& target);

// Throws Refused, with the place in the file, for an expression that compiles over none of the map's outputs.
void check_reverse(const MapDefinition& map);

}  // namespace tidegate
