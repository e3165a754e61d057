// The target's tables: made or checked before the first row, completed after the load, changed when the
// source's schema changes. What was made, and how rows become theirs, is recorded in the target in the same
// transaction.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "apply/net_changes.hpp"
#include "apply/postgres/session.hpp"
#include "apply/postgres/target_fit.hpp"
#include "apply/schema/ddl.hpp"

namespace tidegate {

class TargetTables {
 public:
  // Says what is made for tables and their plans; make_ddl() for a SQLite source.
  using DdlMaker = std::function<Ddl(const std::vector<SourceTable>&, const std::vector<TablePlan>&)>;
  TargetTables(TargetSession& session, const TargetTablesOptions& options, DdlMaker ddl)
      : session_(session), options_(options), ddl_(std::move(ddl)) {}

  // One transaction: tables, their plans, the checkpoint summary, and phase `loading`. Throws Refused, having
  // changed nothing, where a table is in the way or does not fit.
  void create(const std::vector<SourceTable>& tables, std::vector<TablePlan> plans);

  // The plans as recorded.
  std::vector<TablePlan> recorded();

  // Uniques, indexes, checks and foreign keys that are not recorded yet: each object in a transaction of its
  // own, so that a restart goes on; side by side on as many connections as `jobs`, foreign keys last. What
  // the target refuses is recorded and returned as a finding; the rest goes on. Also after a schema change,
  // when its rows are there. `wanted` may choose among them; `progress` is called on any thread.
  std::vector<Finding> build_objects(const std::vector<SourceTable>& tables,
                                     const std::vector<TablePlan>& plans,
                                     const std::function<void(const std::string&)>& progress,
                                     const std::function<bool(const DdlObject&)>& wanted = {});

  // Identity columns go on behind the highest id that either side has given out.
  void set_sequences(const std::vector<SourceTable>& tables, const std::vector<TablePlan>& plans);
  // The same for columns that a mapping fills from the source's own ids.
  void set_mapped_sequences(const std::vector<TablePlan>& plans);
  void analyze(const std::vector<TablePlan>& plans);

  // Within the caller's transaction: makes new tables and columns, records their plans, and changes `plans`.
  // Their indexes and constraints are left to build_objects().
  std::vector<Finding> carry(const std::vector<SourceTable>& changed, Plans& plans);

  // Within the caller's transaction: makes a table of a Postgres source with its primary key, and records it.
  // Types and the like that are there already stay as they are.
  void make_new(const TablePlan& plan, const Ddl& ddl);

  // The same for the columns that `wider` has and the recorded plan has not; their types are native.
  void add_native_columns(const SourceTable& table, const TablePlan& wider, Plans& plans);

  // Within the caller's transaction: makes a column that tidegate made as wide as its type can be, records
  // that, and changes `plans`. False, having changed nothing, where others made the table or the target does
  // not let us.
  bool widen_column(Plans& plans, const std::string& source_table, const std::string& column);

 private:
  void adopt(const std::vector<TablePlan>& plans, const std::vector<bool>& there);
  void record(const TablePlan& plan, bool created, const std::string& status);
  std::set<std::string> built();
  std::set<std::string> made_by_us();  // source's names
  void make(const SourceTable& table, const TablePlan& plan);

  TargetSession& session_;
  TargetTablesOptions options_;
  DdlMaker ddl_;
};

// The state of each table's load, as operators read it in tidegate.migration_checkpoints.
class CheckpointSummary {
 public:
  explicit CheckpointSummary(TargetSession& session) : session_(session) {}
  void begin(const std::string& table);
  void progress(const std::string& table, std::uint64_t rows, int batches,
                const postgres::Parameter& last_key,
                const std::optional<std::int64_t>& last_id);  // keys: those of before where not given
  // Says so once; after a crash the sums may be behind, so they are given again.
  void complete(const std::string& table, std::uint64_t rows, int batches);
  void fail_unfinished(const std::string& message);

 private:
  TargetSession& session_;
};

// The plans of a pipeline's tables as its target records them.
std::vector<TablePlan> recorded_plans(postgres::Connection& target, const std::string& pipeline);

}  // namespace tidegate
