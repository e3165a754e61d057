#include "replicator/verify/seen_commits.hpp"

namespace tidegate::verify {

bool sees_applied(const XidSnapshot& snapshot, JournalReader& journal, std::uint64_t applied,
                  std::chrono::seconds recent) {
  using namespace std::chrono;
  const auto oldest = duration_cast<microseconds>((system_clock::now() - recent).time_since_epoch()).count();
  const auto first = journal.first();
  for (auto sequence = applied; sequence >= first && sequence > 0; --sequence) {
    const auto entry = journal.next(sequence - 1);
    if (!entry || entry->written_at_us < oldest) return true;
    if (entry->part.stamp && !snapshot.sees(entry->part.stamp->xid)) return false;
  }
  return true;
}

}  // namespace tidegate::verify
