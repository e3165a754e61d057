// One pipeline, running: the state directory and its lock, the capture and apply threads, the API.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "replicator/config/settings.hpp"
#include "replicator/control/status.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {

struct DaemonHooks {
  std::string reason;    // why it is run, for the audit
  bool can_ask = false;  // there is somebody, or a flag, to approve a plan
  // Asked once per state directory, after the source was read and before anything is written to the target;
  // false ends the run. Must return soon after the token stops.
  std::function<bool(const PlannedPipeline&, std::stop_token)> approve;
  // May be empty. Called on a thread of its own once the pipeline runs; the sample is absent when it ends,
  // and then this must return.
  std::function<void(const std::function<std::optional<Status>()>& sample)> show;
};

// Runs until SIGTERM, SIGINT or `tidegate stop`, then ends cleanly: whole batches only. True unless the plan
// was not approved. Throws what an operator must decide; where that is before the plan was approved, nothing
// is left behind: no state directory that was made here, nothing in the target, and the source as it was
// unless it was switched to WAL.
bool run_daemon(const Settings& settings, const DaemonHooks& hooks);

// The last status of a daemon that has ended by itself, from its state directory.
std::optional<Status> last_status(const std::filesystem::path& state_dir);

}  // namespace tidegate
