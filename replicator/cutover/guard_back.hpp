// GUARD of a rollback: all that must be so before the target is held.
#pragma once

#include <stop_token>
#include <vector>

#include "replicator/cutover/parts.hpp"

namespace tidegate::cutover {

// Changes nothing. `calm`: for how long the way back's lag is watched; a dry run takes three round trips.
std::vector<Finding> examine_back(Parts& parts, const Order& order, std::chrono::milliseconds calm,
                                  std::stop_token stop);

}  // namespace tidegate::cutover
