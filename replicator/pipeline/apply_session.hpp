// All of the apply thread that lives as long as one connection to the target.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/keys/key_memory.hpp"
#include "apply/mapping/mapping.hpp"
#include "apply/postgres/target_tables.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/pipeline/applier.hpp"
#include "replicator/pipeline/resyncs.hpp"
#include "replicator/pipeline/source_worker.hpp"

namespace tidegate {

struct ApplyWorkerOptions {
  TargetOptions target;
  TargetTablesOptions tables;
  BatchLimits limits;
  std::vector<MapDefinition> maps;
  MappingOptions mapping;
  std::shared_ptr<KeyMemory> keys;  // that of `mapping`
  std::string state_path;
  std::vector<SqlFile> seeds, post_sql;
  std::vector<std::string> realtime;
};

struct ApplySession {
  ApplySession(const ApplyWorkerOptions& options, JournalReader& journal, SourceWorker& source);

  std::unique_ptr<SourceView> view;
  TargetSession target;
  JournalReader& journal;
  TargetTables tables;
  Quarantine quarantine;
  CheckpointSummary summary;
  Plans plans;
  Mapping mapping;
  ChunkMap copied;
  std::unique_ptr<Sink> sink;
  std::unique_ptr<TargetApplier> applier;
  std::unique_ptr<Resyncs> resyncs;  // from phase streaming on
  bool objects_pending = true;       // indexes and constraints that the target may lack yet
  Widen widen;                       // set by whoever opens the session, as is the next
  std::function<void()> worked;

  TargetScene scene();
  // Those that are replicated as they are, and their plans.
  std::vector<SourceTable> sources();
  std::vector<TablePlan> plans_in_order();
  // Of the relations that maps make of a table, or its own.
  std::vector<TablePlan> plans_of(const std::string& table);
  std::vector<TablePlan> mapped_plans();
  std::vector<TablePlan> all_plans();

 private:
  std::optional<SourceTable> described(const std::string& name);
};

}  // namespace tidegate
