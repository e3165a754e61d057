// Whether a server still is the one whose changes were captured: positions of one history say nothing in
// another.
#pragma once

#include "capture/postgres/capture_state.hpp"
#include "db/replication.hpp"

namespace tidegate {

// Throws Refused where the cluster is another one, was promoted, or went back in time.
void check_history(const CaptureState::Held& held, const postgres::SystemIdentity& source);

}  // namespace tidegate
