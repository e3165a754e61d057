// One pipeline, running: the state directory and its lock, the capture and apply threads, the API.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "apply/postgres/target_fit.hpp"
#include "apply/schema/planner.hpp"
#include "capture/sqlite/capture.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/control/status.hpp"

namespace tidegate {

struct PlannedPipeline {
  std::vector<SourceTable> tables;
  std::vector<TableMeasure> measures;
  std::vector<TablePlan> plans;
  std::vector<Finding> findings;
};

PlanOptions plan_options(const Settings& settings);
PlannedPipeline plan_pipeline(const std::vector<FilledTable>& tables, const Settings& settings);
// From all values of the source, or from its catalogue and a finding where its read lock would last too long.
PlannedPipeline plan_from_source(const Settings& settings);
// Read from the source's catalogue alone, without its rows: what can be known before the source is read.
PlannedPipeline plan_from_catalogue(const Settings& settings);
TargetTablesOptions tables_options(const Settings& settings);
// What the target's existing columns would do to the values that were measured. Throws Refused as
// examine_fit() does.
std::vector<Finding> fit_findings(postgres::Connection& target, const PlannedPipeline& planned,
                                  const Settings& settings);
// What capture needs of the settings.
CaptureOptions capture_options(const Settings& settings);

struct DaemonHooks {
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
