// GUARD: all that must be so before anything is held. Each reason against a cutover is a finding.
#pragma once

#include <stop_token>
#include <vector>

#include "replicator/cutover/parts.hpp"

namespace tidegate::cutover {

// Changes nothing but what WayBack::prepare() leaves. `calm`: for how long the lag is watched; a dry run
// takes three round trips. Ends early, with what it has, where `stop` says so.
std::vector<Finding> examine(Parts& parts, const Order& order, std::chrono::milliseconds calm,
                             std::stop_token stop);

// Of every GUARD: the operator's programs, and what their event `check` says.
std::vector<Finding> hook_findings(const Parts& parts, const Order& order, const char* direction);

bool blocks(const std::vector<Finding>& findings);

}  // namespace tidegate::cutover
