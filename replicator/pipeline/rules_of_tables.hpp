// The file's [[check]] and [[rule]] against the tables that there are. Pure.
#pragma once

#include <vector>

#include "apply/plan.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

// Is the check about the rows that this plan writes? It names the target's table, or the source's where that
// is copied as it is.
bool is_about(const Check& check, const TablePlan& plan);

// Those that hold for nothing.
std::vector<Finding> idle_rules(const Settings& settings, const std::vector<TablePlan>& plans);

}  // namespace tidegate
