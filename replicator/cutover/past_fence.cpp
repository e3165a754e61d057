#include "replicator/cutover/past_fence.hpp"

#include <fmt/format.h>

#include "replicator/journal/journal.hpp"

namespace tidegate::cutover {

PastFence nothing_past_fence(postgres::Connection& target, const std::string& pipeline) {
  PastFence seen;
  auto row = target.run("SELECT sequence FROM tidegate.pipelines WHERE pipeline = $1", {pipeline});
  if (row.rows() == 1) seen.looked_to = static_cast<std::uint64_t>(row.integer(0, 0));
  return seen;
}

void look_past_fence(const std::string& state_path, PastFence& seen) {
  JournalReader journal(state_path);
  bool within = false;  // a transaction of several parts that was counted
  for (auto entry = journal.next(seen.looked_to); entry; entry = journal.next(entry->sequence)) {
    if (!entry->part.changes.empty() && !within) {
      if (seen.transactions++ == 0) seen.first = entry->sequence;
      within = true;
    }
    if (!entry->closes) continue;
    within = false;
    seen.looked_to = entry->sequence;
  }
}

std::string in_words(const PastFence& seen) {
  if (seen.transactions == 0) return "";
  return fmt::format(
      "somebody has written to the legacy database past its fence, in {} transaction{}, the first at "
      "position {} of the "
      "journal (tidegate events)",
      seen.transactions, seen.transactions == 1 ? "" : "s", seen.first);
}

}  // namespace tidegate::cutover
