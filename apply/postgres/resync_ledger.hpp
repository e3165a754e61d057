// What the target knows of tables that are copied again, or that the pipeline's stream leaves out: one row
// each in tidegate.resyncs. replicator/pipeline/README.md says what the states mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/net_changes.hpp"
#include "apply/plan.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

enum class ResyncState { stopped, copying, following, merging, rejoining };
std::string_view name_of(ResyncState state);

struct Resync {
  std::string table;  // the source's name
  ResyncState state = ResyncState::stopped;
  bool held = false;
  std::uint64_t sequence = 0;
  std::optional<std::uint64_t> until;  // merging
  std::optional<TablePlan> staging;    // copying to merging
  std::string why;                     // stopped

  bool is_first_copy() const { return staging && staging->source == table; }
};

// In the order in which they began.
std::vector<Resync> read_resyncs(TargetSession& session);

// Under which name the staging table's chunks and its rows in quarantine are recorded, and back: the same
// name for others.
std::string staging_name(const std::string& table);
std::string without_staging(const std::string& name);
// Whose chunks are recorded under this name, for whom these plans are; nothing where they are of another
// copy.
std::optional<std::string> table_of_record(const std::string& recorded, const Plans& plans);

// What the staging table is to become before it gets rows: `plan` is that of the table then, `changes` are
// pieces for ALTER TABLE, of which `wishes` may fail. What an earlier resync was to change and did not is
// added to it.
struct StagingShape {
  TablePlan plan;
  std::vector<std::string> changes, wishes;
};

// Within the caller's transaction: a fresh staging table like that of `plan`, with a shape of its own, and a
// lane that begins at the session's position. What an earlier resync of the table left goes; where that held
// the table it stays held. Throws Error where the target refuses the staging table.
Resync begin_resync(TargetSession& session, const TablePlan& plan, const StagingShape& shape);

// Within the caller's transaction: the same for a table that was just made and gets its first rows, which go
// into itself: it is its own staging table.
Resync begin_first_copy(TargetSession& session, const TablePlan& plan);

// Within the caller's transaction: the pipeline's stream leaves the table out from here on, until a resync.
// What one has copied so far goes.
Resync stop_table(TargetSession& session, const std::string& table, const std::string& why);

// Within the caller's transaction: a table that was stopped is in the stream again; it stays recorded as one
// whose rows are to be brought in line, until end_resync().
void stream_again(TargetSession& session, const std::string& table);

// The caller's transaction is the pipeline's, at the position up to which the lane is to go.
void hold_for_merge(TargetSession& session, const std::string& table);
void end_resync(TargetSession& session, const std::string& table);

// The lane's own, within its transaction.
void change_state(TargetSession& lane, const std::string& table, ResyncState state);
// The table has the staging table's rows now: what is recorded of it is the table's, with `plan`, and it
// goes.
void take_over_records(TargetSession& lane, const TablePlan& plan, const TablePlan& staging);

}  // namespace tidegate
