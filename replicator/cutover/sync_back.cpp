// `sync` while the target is live: the way back is the stream that is waited for.
#include <thread>

#include "replicator/cutover/cutover.hpp"
#include "replicator/failure.hpp"

namespace tidegate::cutover {
namespace {

constexpr std::chrono::milliseconds between_tries{500};

// A target that is away may come again within the time.
std::optional<std::uint64_t> caught_up(WayBack& way_back, Clock::time_point until,
                                       const std::stop_token& stop) {
  for (;;) {
    try {
      return way_back.caught_up(until, stop);
    } catch (const Error& failure) {
      if (failure.advice() == Advice::stop || stop.stop_requested() || Clock::now() + between_tries >= until)
        throw;
    }
    std::this_thread::sleep_for(between_tries);
  }
}

}  // namespace

void Cutover::require_way_back() {
  const auto settled = journal_->settled();
  if (settled && settled->way_back_start.empty())
    throw Coded<Refused>("no-way-back", "the target is live, and nothing of it goes to the legacy database",
                         "`tidegate resync --way-back` makes a way back");
  if (settled && settled->way_back_start == being_rebuilt)
    throw Coded<Refused>("way-back-rebuilding", "the way back is being built anew",
                         "wait until it runs (`tidegate status --watch`)");
  for (const auto& error : parts_.coordination.status().errors)
    if (error.code == "way-back-failed") throw Coded<Refused>("way-back-failed", error.message, "");
}

Cutover::SyncedBack Cutover::sync_back(Clock::time_point until, std::stop_token stop) {
  require_way_back();
  const auto reached = caught_up(*way_back_, until, stop);
  if (reached) return {*reached, way_back_->rejects()};
  if (stop.stop_requested())
    throw Coded<Refused>("stopping", "the daemon ended before the legacy database was there",
                         "`tidegate status` says why; start it again, then sync");
  require_way_back();
  throw Coded<std::runtime_error>("timed-out", "the time is up and the legacy database is not there yet",
                                  "`tidegate status` shows what it waits for", Exit::timed_out);
}

}  // namespace tidegate::cutover
