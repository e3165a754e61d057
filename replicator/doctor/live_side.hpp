// Which side takes the application's writes: what a start would make of the fence in the source, of the
// target's word and of the state directory's journal of cutovers.
#pragma once

#include <optional>
#include <vector>

#include "apply/plan.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/cutover/machine.hpp"

namespace tidegate {

// As read; the journal is empty where there is none.
struct LiveSideFacts {
  bool has_journal = false;
  std::optional<cutover::Run> last, settled;
  cutover::Says source{true, ""}, target;
};

// Nothing where the source is live and always was. Pure.
std::vector<Finding> findings_of(const LiveSideFacts& facts);

// Asks both databases and looks into the state directory. Throws what connecting does, and Refused where the
// pipeline was finalized.
std::vector<Finding> examine_live_side(const Settings& settings);

}  // namespace tidegate
