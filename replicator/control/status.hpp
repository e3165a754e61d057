// The state of a pipeline as everybody sees it: `status`, the API, the metrics. Field names in JSON are a
// promise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

struct Lag {
  std::optional<double> seconds;  // absent where it is not known yet
  std::optional<std::uint64_t> bytes, transactions;
  bool operator==(const Lag&) const = default;
};

struct TableStatus {
  std::string source, target;
  std::string state = "pending";  // pending, copying, copied, indexing, streaming, resync, stopped, failed
  std::uint64_t rows_copied = 0;
  std::optional<std::uint64_t> rows_total;  // as counted or estimated; absent before that
  std::uint64_t rows_quarantined = 0;
  bool left_out = false;  // the stream does not write it just now: promise 2 does not hold for it
  bool operator==(const TableStatus&) const = default;
};

struct Stages {  // each: pending, in_progress, completed, failed
  std::string schema = "pending", data = "pending", verification = "pending";
  bool operator==(const Stages&) const = default;
};

struct Totals {  // since the pipeline began
  std::uint64_t rows_copied = 0;
  std::optional<std::uint64_t> rows_total;
  std::uint64_t transactions = 0;  // applied after the snapshot
  std::uint64_t changes = 0;       // rows that they inserted, updated or deleted
  bool operator==(const Totals&) const = default;
};

struct JournalStatus {
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> free_bytes;  // of its file system
  std::optional<double> bytes_per_second;   // how fast it grows
  bool operator==(const JournalStatus&) const = default;
};

// The replication slot of a Postgres source: what its server keeps for us, and how long it will.
struct SlotStatus {
  std::string name, wal_status;  // reserved, extended, unreserved, lost; gone where it is not there
  std::uint64_t lag_bytes = 0;   // WAL that the server keeps since we have not taken it
  std::optional<std::uint64_t> left_bytes;  // more of it until the server gives the slot up; absent: no limit
  std::optional<double> left_seconds;  // the same as time, at the source's present rate; absent: not known
  std::optional<double> oldest_transaction_seconds;  // open at the source, and holding the slot back
  bool operator==(const SlotStatus&) const = default;
};

struct CutoverStep {
  std::string step;
  std::uint64_t attempt = 1;
  double milliseconds = 0;  // how long it took, or goes on already
  bool operator==(const CutoverStep&) const = default;
};

struct CutoverFinding {
  std::string level, code, message, mend;
  bool operator==(const CutoverFinding&) const = default;
};

// Of a file's writers during a hold, as far as it is seen from outside; cutover/writers_seen.hpp says what is
// not.
struct WritersSeen {
  std::string held_from, held_until;         // ISO 8601, UTC, with milliseconds
  double commits_per_second = 0;             // by all programs, before the hold
  std::optional<double> commits_afterwards;  // a second, once it was let go
  std::vector<std::string> in_transaction;   // programs that had one open when the lock was taken
  bool operator==(const WritersSeen&) const = default;
};

// The last cutover, rehearsal or rollback: under way, or how it ended.
struct CutoverStatus {
  std::string run, mode, step;  // mode: rehearse, cutover, rollback; step: as cutover/README.md names them
  std::uint64_t attempt = 1;
  std::string outcome;  // empty while it runs; done, rehearsed, aborted, refused
  std::string reason;
  std::optional<double> hold_ms;  // how long writers had to wait, from the lock's first request
  std::vector<CutoverStep> steps;
  std::vector<CutoverFinding> findings;     // of GUARD
  std::vector<std::string> source_open_by;  // programs that have the fenced source open: they have not moved
  // Statements that the fence of the side that was left has refused since that run; absent where they cannot
  // be counted (a SQLite file).
  std::optional<std::uint64_t> refused_writes;
  std::optional<WritersSeen> writers;  // of a rehearsal with [source] writers = "upgrades"
  bool operator==(const CutoverStatus&) const = default;
};

// The run of verify that is under way.
struct VerifyStatus {
  std::uint64_t rows = 0, rows_expected = 0, rows_per_second = 0, differences = 0;
  std::optional<double> seconds_left;
  bool operator==(const VerifyStatus&) const = default;
};

struct StatusError {
  std::string at, code, message, table;  // no row value
  bool operator==(const StatusError&) const = default;
};

// While the target is live: what a rollback at this moment would lose.
struct RollbackStatus {
  bool ready = false;
  std::optional<double> lag_seconds;
  std::optional<std::uint64_t> lag_transactions;
  std::uint64_t rejects = 0;    // rows that the legacy database cannot hold; they block it
  std::string rebuilding = {};  // what is being done while the way back is built anew; else empty
  bool operator==(const RollbackStatus&) const = default;
};

struct Status {
  std::string pipeline;
  std::string live = "source";  // source or target
  std::string phase =
      "new";  // new, snapshot, catching_up, streaming, paused, cutover, reversed, rollback, finalized, failed
  std::string step;
  Lag lag;
  std::vector<TableStatus> tables;
  Stages stages;
  std::optional<std::string> started_at, ended_at;  // ISO 8601, UTC
  Totals totals;
  std::vector<StatusError> errors;  // the newest last, bounded by the daemon
  std::uint64_t quarantined = 0;
  std::string position;  // opaque; equal strings are equal positions
  RollbackStatus rollback;
  std::vector<std::string> next_steps;

  // Beyond DESIGN's list.
  std::string source, target;  // masked
  long pid = 0;
  std::string version;
  std::int64_t sampled_at_ms = 0;  // Unix time of this sample, for rates
  std::optional<std::uint64_t> throttle_rows_per_second;
  JournalStatus journal;
  std::optional<SlotStatus> slot;  // Postgres sources only
  std::optional<CutoverStatus> cutover;
  std::optional<VerifyStatus> verify;

  bool operator==(const Status&) const = default;
};

std::string to_json(const Status& status);
// Fields that are absent keep their defaults, unknown ones are passed over: an older or newer daemon can be
// asked. Throws std::invalid_argument on what is not a status.
Status status_from_json(std::string_view json);

}  // namespace tidegate
