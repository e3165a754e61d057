// One mapped table of the legacy database, with all that says how its rows come back. Plain data.
#pragma once

#include <cstddef>
#include <vector>

#include "apply/mapping/back/return_plan.hpp"
#include "apply/plan.hpp"
#include "proto/change.hpp"
#include "proto/table.hpp"

namespace tidegate {

struct ReturnedTable {
  ReturnPlan plan;
  SourceTable source;
  Relation relation;             // of its rows, as the maps read them
  std::vector<TablePlan> plans;  // of plan.outputs, as the target has recorded them

  const MapTarget& target_of(std::size_t output) const { return *plan.outputs[output].from.target; }
  // Of the column in the map's columns, which are those of plans[output].
  std::size_t place_in(std::size_t output, const std::string& column) const;
};

// Places in SourceTable::columns of those that can be written.
std::vector<std::size_t> writable_columns(const SourceTable& table);
// Places in writable_columns() of the primary key, in key order.
std::vector<std::size_t> key_places(const SourceTable& table);

}  // namespace tidegate
