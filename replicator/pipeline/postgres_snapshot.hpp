// The snapshot of a Postgres source: rounds, jobs, and going on after a crash.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "apply/chunk_map.hpp"
#include "apply/plan.hpp"
#include "apply/postgres/chunk_ledger.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/session.hpp"
#include "capture/postgres/chunk_reader.hpp"

namespace tidegate {

struct PostgresSnapshotOptions {
  postgres::ConnectOptions source;
  int jobs = 2;
  std::chrono::milliseconds max_age = std::chrono::hours(1);  // of one exported snapshot
  ChunkSize chunk;
  // On the caller's thread: rows of a table that are in the target by now, and whether that is all.
  std::function<void(const std::string& table, std::uint64_t rows, bool whole)> progress;
  // On the copying threads, after each chunk: may sleep, to keep to a rate.
  std::function<void(std::uint64_t rows, std::chrono::steady_clock::time_point began)> pace;
};

struct PostgresSnapshotTable {
  SnapshotTable source;
  TablePlan plan;
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
  ChunkMap chunk_map() { return chunk_map_of(read_ledger(target_)); }

 private:
  struct Run;  // what one round shares among its jobs
  void plan(Ledger& ledger, ChunkReader& reader);
  void round(Ledger& ledger, const std::stop_token& stop);

  PostgresSnapshotOptions options_;
  std::vector<PostgresSnapshotTable> tables_;
  TargetSession& target_;
  Quarantine& quarantine_;
};

}  // namespace tidegate
