// Conditions on the target's columns (`rows`, `born` of [[map.to]]) are the server's to judge: what it says
// to them before a row depends on it.
#pragma once

#include <vector>

#include "apply/mapping/definition.hpp"
#include "apply/plan.hpp"
#include "db/postgres.hpp"

namespace tidegate {

// What blocks, each with its place in the file. Of a table that is not there yet nothing can be said. Within
// a transaction of the caller, or without one; changes nothing.
std::vector<Finding> condition_findings(postgres::Connection& target, const std::vector<MapDefinition>& maps);

}  // namespace tidegate
