// A few rows of the source, mapped: what an operator is shown of a mapping before anything is written, and
// what the target says to their types.
#pragma once

#include <string>
#include <vector>

#include "replicator/pipeline/planning.hpp"

namespace tidegate {

struct MapSample {
  TablePlan plan;
  std::string condition;                 // both of them; empty where there is none
  std::vector<std::string> expressions;  // by plan column
  Relation relation;
  std::vector<Row> rows;           // mapped; no more than were asked for
  std::vector<std::string> types;  // by plan column: of what a server's table only passes on; else empty
};

// One for each mapped relation among the plans. Reads `rows` rows of each mapped table. `shows_types`: for
// eyes, not for a target.
std::vector<MapSample> sample_maps(const Settings& settings, const PlannedPipeline& planned, int rows,
                                   bool shows_types = false);

// Throws Refused, with the place in the file, where none of a column's values can be written in its type.
// `planned.plans` must know the target's types.
void refuse_uncastable(postgres::Connection& target, const Settings& settings,
                       const PlannedPipeline& planned);

}  // namespace tidegate
