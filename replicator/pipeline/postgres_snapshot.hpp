// The snapshot of a Postgres source: rounds, jobs, and going on after a crash.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "apply/chunk_map.hpp"
#include "apply/plan.hpp"
#include "apply/postgres/chunk_ledger.hpp"
#include "apply/postgres/orphan_guard.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/session.hpp"
#include "apply/postgres/target_tables.hpp"
#include "capture/postgres/chunk_reader.hpp"
#include "replicator/pipeline/snapshot_jobs.hpp"

namespace tidegate {

struct PostgresSnapshotOptions {
  postgres::ConnectOptions source;
  int jobs = 2;
  std::chrono::milliseconds max_age = std::chrono::hours(1);  // of one exported snapshot
  ChunkSize chunk;
  // On the caller's thread: rows of a table that are in the target by now, and whether that is all.
  std::function<void(const std::string& table, std::uint64_t rows, bool whole)> progress;
  // On the copying threads, after each chunk: may sleep, to keep to a rate or for a pause.
  std::function<void(std::uint64_t rows, std::chrono::steady_clock::time_point began)> pace;
};

struct PostgresSnapshotTable {
  SnapshotTable source;
  std::vector<TablePlan>
      plans;  // one, whose columns' sources are source.columns in that order; or of each map
  MappedTable* mapped = nullptr;  // makes the rows of `plans` out of the source's
};

class PostgresSnapshot {
 public:
  // The target's tables are made, with their keys and nothing else. The slot from which the stream comes must
  // exist before: it has to begin at or before the first round's consistent point.
  PostgresSnapshot(PostgresSnapshotOptions options, std::vector<PostgresSnapshotTable> tables,
                   TargetSession& target, Quarantine& quarantine);

  // Goes on where the target says it is. True when all chunks are there, false where it was stopped. Throws
  // Error: give up the target's session (chunks may be in doubt) and begin again with another.
  bool copy(const std::stop_token& stop);

  // For the stream, once all chunks are there.
  ChunkMap chunk_map() const { return chunk_map_of(ledger_); }

 private:
  // A table and how its rows go over.
  struct Work {
    explicit Work(PostgresSnapshotTable described);
    const TablePlan& plan() const { return table.plans.front(); }
    PostgresSnapshotTable table;
    std::deque<RowMapper> mappers;
    std::vector<Row> parts;  // at once only: this round's
  };
  bool whole() const;
  void run_round(const std::stop_token& stop);
  void split(Work& work, ChunkReader& reader);
  ChunkCopier::Form form_of(const Work& work, ChunkReader& reader);
  std::deque<ChunkJob> jobs_for(Work& work, ChunkReader& reader);
  std::deque<ChunkJob> plan_round(const Round& round);
  void work_on(SnapshotJobs& jobs, const Round& round, std::mutex& quarantine_mutex);
  void note(const SnapshotJobs::Copied& copied, const Round& round);
  void complete_summaries();

  PostgresSnapshotOptions options_;
  std::deque<Work> works_;  // never moved: jobs point into them
  TargetSession& target_;
  Quarantine& quarantine_;
  OrphanGuard orphans_;
  CheckpointSummary summary_;
  Ledger ledger_;
};

}  // namespace tidegate
