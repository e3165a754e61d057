// What the status says of each table that is applied.
#pragma once

#include "replicator/pipeline/apply_session.hpp"
#include "replicator/pipeline/coordination.hpp"

namespace tidegate {

void show_tables(Coordination& coordination, ApplySession& session);
// Counts of the quarantine, as the target has them.
void show_quarantine(Coordination& coordination, ApplySession& session);
// All of it, once the tables stream.
void show_streaming(Coordination& coordination, ApplySession& session);

}  // namespace tidegate
