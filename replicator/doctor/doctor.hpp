// Everything that can be known before a run, on both ends. Writes nothing anywhere.
#pragma once

#include <optional>
#include <vector>

#include "apply/plan.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {

// The source: where it lies, its mode or its server, what it holds that is not carried over; a file's values,
// measured. `planned`: left as it is where the source is a server, or cannot be planned.
std::vector<Finding> examine_source(const Settings& settings, std::optional<PlannedPipeline>& planned);
// The target: whether it can be reached, what our role may do, what is in the way.
std::vector<Finding> examine_target(const Settings& settings);
// Of two servers: whether one is newer than the other.
std::vector<Finding> examine_versions(const Settings& settings);
// Its tables: what a first run would refuse. `planned`: as examine_source() left it.
std::vector<Finding> examine_target_tables(const Settings& settings,
                                           const std::optional<PlannedPipeline>& planned);
// Rows of tables without a map; see examine_unmapped_rows(). `planned`: as examine_source() left it.
// `target_is_sound`: it may be asked.
void examine_rows(const Settings& settings, std::optional<PlannedPipeline> planned, bool target_is_sound,
                  std::vector<Finding>& findings);
// The mapping's rows: what will not fit, come twice or find no parent; passwords that cannot be carried over.
std::vector<Finding> examine_mapping(const Settings& settings);
// This machine: space for the shadow and the journal.
std::vector<Finding> examine_machine(const Settings& settings);

}  // namespace tidegate
