// What a snapshot of the source must see to be held against the target.
#pragma once

#include <chrono>
#include <cstdint>

#include "replicator/journal/journal.hpp"
#include "replicator/verify/xid_snapshot.hpp"

namespace tidegate::verify {

// Does the snapshot see what has been applied, up to the journal's entry `applied`? A commit is in the log,
// and can be on the target, a moment before snapshots see it: the server may put its process to sleep in
// between. Entries that are older than `recent` are taken as seen.
bool sees_applied(const XidSnapshot& snapshot, JournalReader& journal, std::uint64_t applied,
                  std::chrono::seconds recent);

}  // namespace tidegate::verify
