// What a cutover works with, and what it was told.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "replicator/config/settings.hpp"
#include "replicator/control/store.hpp"
#include "replicator/cutover/back_stream.hpp"
#include "replicator/cutover/hooks.hpp"
#include "replicator/cutover/legacy.hpp"
#include "replicator/cutover/machine.hpp"
#include "replicator/cutover/run_journal.hpp"
#include "replicator/cutover/way_back.hpp"
#include "replicator/pipeline/apply_worker.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/source_worker.hpp"

namespace tidegate::cutover {

using Clock = std::chrono::steady_clock;

// All of them outlive the cutover.
struct Parts {
  const Settings& settings;
  std::string state_path;  // state.db
  Coordination& coordination;
  ControlStore& store;
  SourceWorker& source;
  ApplyWorker& apply;
  RunJournal& journal;
  Legacy& legacy;
  WayBack& way_back;
  BackStream& back;
  const Hooks& hooks;
};

// What the operator typed, with the settings' values where he typed nothing.
struct Order {
  Mode mode = Mode::cutover;
  std::chrono::milliseconds max_hold{500}, timeout{600'000}, max_lag{1000}, calm{60'000};
  std::uint64_t attempts = 3;
  bool no_way_back = false;           // go on without; a rollback then loses what came after
  bool accept_loss = false;           // of a rollback: rows that the way back could not carry do not matter
  bool accept_failed_writes = false;  // writers = "upgrades" without a hook that lets requests wait
  std::string by, reason;
};

// Whether a compare of everything that took this long outside may be done within the hold: in less than a
// quarter of it.
bool fits_into_a_hold(std::chrono::microseconds compare, const Order& order);

// What waits for a cut and its way to the target; absent where the time came first.
struct RoundTrip {
  std::uint64_t sequence = 0;
  std::chrono::microseconds took{0};
};
std::optional<RoundTrip> round_trip(Coordination& coordination, bool compare_everything,
                                    Clock::time_point until);

// Runs `work` on the apply thread and waits for it; false where the time came first (it may still be done
// later, so `work` must own what it needs). Throws what it threw.
bool on_target(Parts& parts, ApplyWorker::Work work, Clock::time_point until);

}  // namespace tidegate::cutover
