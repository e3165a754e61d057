// Everything that can be known before a run, on both ends. Writes nothing anywhere.
#pragma once

#include <vector>

#include "apply/plan.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

// The source file: where it lies, its journal mode, what it holds that is not carried over. Its values,
// measured.
std::vector<Finding> examine_source(const Settings& settings);
// The target: whether it can be reached, what our role may do, what is in the way.
std::vector<Finding> examine_target(const Settings& settings);
// Its tables: what a first run would refuse.
std::vector<Finding> examine_target_tables(const Settings& settings);
// The mapping's rows: what will not fit, come twice or find no parent; passwords that cannot be carried over.
std::vector<Finding> examine_mapping(const Settings& settings);
// This machine: space for the shadow and the journal.
std::vector<Finding> examine_machine(const Settings& settings);

}  // namespace tidegate
