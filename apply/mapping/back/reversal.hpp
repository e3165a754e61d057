// What a way back takes of each mapped table, as `plan` tells it. README.md, "Way back". Pure.
#pragma once

#include <string>
#include <vector>

#include "apply/mapping/back/return_plan.hpp"
#include "apply/mapping/definition.hpp"
#include "proto/table.hpp"

namespace tidegate {

// Each column of the table is in one of these, in the table's order.
struct Reversal {
  std::string table;
  std::string anchor;             // the target's table whose rows are its rows; empty where there is none
  std::vector<std::string> kept;  // some target column is nothing but this one
  std::vector<std::string> remembered;  // in keys made by uuid() or surrogate(), which are looked up
  std::vector<std::string> given;       // by [map.reverse]
  std::vector<std::string> lost;        // only in what other expressions or conditions make of them
  std::vector<std::string> unread;      // no map reads them
  std::vector<Finding> refused;         // why there is no way back for the table
  std::vector<Finding> warned;          // which rows of it would not come back
};

// As plan_returns() takes them, were all tables of the target ours.
std::vector<Reversal> reversals(const std::vector<MapDefinition>& maps,
                                const std::vector<SourceTable>& tables);

}  // namespace tidegate
