// One pipeline, running: the state directory and its lock, the capture and apply threads, the API.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "apply/schema/planner.hpp"
#include "capture/sqlite/capture.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

struct PlannedPipeline {
  std::vector<SourceTable> tables;
  std::vector<TableMeasure> measures;
  std::vector<TablePlan> plans;
  std::vector<Finding> findings;
};

PlanOptions plan_options(const Settings& settings);
PlannedPipeline plan_pipeline(const std::vector<FilledTable>& tables, const Settings& settings);
// What capture needs of the settings.
CaptureOptions capture_options(const Settings& settings);

// Runs until SIGTERM, SIGINT or `tidegate stop`, then ends cleanly: whole batches only. `approve` is asked
// once per state directory, after the source was read and before anything is written to the target; false
// ends the run. Throws what an operator must decide.
void run_daemon(const Settings& settings, const std::function<bool(const PlannedPipeline&)>& approve);

}  // namespace tidegate
