#include "replicator/pipeline/postgres_view.hpp"

#include <algorithm>

#include "apply/postgres/chunk_ledger.hpp"
#include "apply/postgres/native/native_sink.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/postgres_snapshot.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

SnapshotTable snapshot_table(const capture::PostgresTable& table, const TablePlan& plan) {
  SnapshotTable out{table.source, table.schema, table.name, {}, table.identity, table.partitioned};
  for (const auto& column : plan.columns) out.columns.push_back(column.source);
  return out;
}

}  // namespace

std::vector<SourceTable> PostgresView::tables() {
  std::vector<SourceTable> tables;
  for (const auto& table : source_.tables) tables.push_back(capture::as_source_table(table));
  return tables;
}

std::optional<std::uint64_t> PostgresView::rows_of(const std::string& name) {
  for (const auto& table : source_.tables) {
    if (table.source == name) return table.estimated_rows;
  }
  return std::nullopt;
}

Ddl PostgresView::ddl(const std::vector<SourceTable>&, const std::vector<TablePlan>&) {
  return source_.ddl;
}

std::unique_ptr<Sink> PostgresView::sink(const TargetScene& scene) {
  return std::make_unique<NativeSink>(scene.session, scene.quarantine, scene.plans);
}

void PostgresView::show_progress(const TargetScene& scene, const std::string& table, std::uint64_t rows,
                                 bool whole) {
  const TablePlan& plan = scene.plans.at(table);
  std::string shown = plan.schema + "." + plan.target;
  scene.summary.begin(shown);
  if (whole) scene.summary.complete(shown, rows, 0);
  source_.coordination.update([&](Status& status) {
    for (auto& each : status.tables) {
      if (each.source != table) continue;
      each.rows_copied = rows;
      each.state = whole ? "copied" : "copying";
    }
  });
}

bool PostgresView::load(const TargetScene& scene) {
  const Settings& settings = source_.settings;
  PostgresSnapshotOptions options;
  options.source = source_options(settings, "tidegate snapshot " + settings.pipeline);
  options.jobs = static_cast<int>(settings.source.postgres.jobs);
  options.max_age = settings.source.postgres.snapshot_max_age;
  options.progress = [&](const std::string& table, std::uint64_t rows, bool whole) {
    show_progress(scene, table, rows, whole);
  };
  options.pace = [this](std::uint64_t rows, std::chrono::steady_clock::time_point began) {
    pace_.limit_rate(rows, began);
    pace_.wait_while_paused();
  };
  std::vector<PostgresSnapshotTable> tables;
  for (const auto& table : source_.tables) {
    auto plan = scene.plans.find(table.source);
    if (plan != scene.plans.end()) tables.push_back({snapshot_table(table, plan->second), plan->second});
  }
  PostgresSnapshot snapshot(std::move(options), std::move(tables), scene.session, scene.quarantine);
  if (!snapshot.copy(source_.coordination.stop_token())) return false;
  build_keys(scene);
  return true;
}

// Upserts need them; the rest waits until the stream has left the snapshot behind.
void PostgresView::build_keys(const TargetScene& scene) {
  std::vector<TablePlan> plans;
  for (const auto& [name, plan] : scene.plans) plans.push_back(plan);
  auto findings = scene.tables.build_objects(tables(), plans, [this](const std::string& what) {
    source_.coordination.update([&](Status& status) { status.step = "building " + what; });
  });
  for (const auto& finding : findings) {
    throw Refused(finding.code, finding.message, finding.mend);
  }
}

ChunkMap PostgresView::copied(TargetSession& session) {
  return chunk_map_of(read_ledger(session));
}

bool PostgresView::passed_snapshot(const ChunkMap& copied, std::uint64_t sequence) {
  return source_.progress.is_past(copied.newest(), sequence);
}

}  // namespace tidegate
