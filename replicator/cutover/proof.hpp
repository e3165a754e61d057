// PROVE, within the hold: the target is where the journal ends, and nothing of the last cut was left out.
#pragma once

#include <optional>
#include <string>

#include "replicator/cutover/parts.hpp"

namespace tidegate::cutover {

struct Proof {
  std::string contradiction;  // empty: there is none
};

// Position and digest are read back from the target and held against the journal at `sequence`; the
// quarantine holds nothing that was not accepted; the identity columns of the target go on exactly behind
// what the source has given out. Absent where the time came first.
std::optional<Proof> prove_target(Parts& parts, std::uint64_t sequence, Clock::time_point until);

}  // namespace tidegate::cutover
