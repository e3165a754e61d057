// From the source's description and the settings to what an operator approves.
#pragma once

#include <vector>

#include "apply/postgres/target_fit.hpp"
#include "apply/schema/ddl.hpp"
#include "apply/schema/planner.hpp"
#include "capture/postgres/catalog.hpp"
#include "capture/sqlite/capture.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

struct PlannedPipeline {
  std::vector<SourceTable> tables;
  std::vector<TableMeasure> measures;
  std::vector<TablePlan> plans;
  Ddl ddl;  // its findings are among these:
  std::vector<Finding> findings;
};

PlanOptions plan_options(const Settings& settings);
TargetTablesOptions tables_options(const Settings& settings);
// What capture needs of the settings.
CaptureOptions capture_options(const Settings& settings);

PlannedPipeline plan_pipeline(const std::vector<FilledTable>& tables, const Settings& settings);
// From all values of the source, or from its catalogue and a finding where its read lock would last too long.
PlannedPipeline plan_from_source(const Settings& settings);
// Read from the source's catalogue alone, without its rows: what can be known before the source is read.
PlannedPipeline plan_from_catalogue(const Settings& settings);

// What the target's existing columns would do to the values that were measured. Throws Refused as
// examine_fit() does.
std::vector<Finding> fit_findings(postgres::Connection& target, const PlannedPipeline& planned,
                                  const Settings& settings);

// What keeps tables of [target] realtime from joining their publication.
std::vector<Finding> realtime_findings(postgres::Connection& target, const PlannedPipeline& planned,
                                       const Settings& settings);

// Of a Postgres source: its catalogue and its schema, as pg_dump says it.
PlannedPipeline plan_postgres(const Settings& settings);

// Of one more table that came to it: `replicated` are those that are there already. Its own DDL, references
// to them included.
PlannedPipeline plan_new_table(const Settings& settings,
                               const std::vector<capture::PostgresTable>& replicated,
                               const capture::PostgresTable& table);

// Throws Refused for the first that blocks.
void refuse_blocking(const std::vector<Finding>& findings);

}  // namespace tidegate
