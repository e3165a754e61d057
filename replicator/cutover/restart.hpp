// What a start finds: the journal of cutovers held against what both databases say.
#pragma once

#include <optional>

#include "replicator/cutover/parts.hpp"

namespace tidegate::cutover {

struct Found {
  std::optional<Run> last, settled;
  Decision decision;
};

// Changes nothing, but that a side which may have been fenced by a killed process is settled. Waits for a
// target that is away, where it must be asked. Throws Refused ("half-done") where journal and databases
// contradict each other.
Found look_at_both(const Parts& parts);

}  // namespace tidegate::cutover
