#include "replicator/verify/target_end.hpp"

#include "db/error.hpp"

namespace tidegate::verify {
namespace {

constexpr const char* begin_snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

void read_quarantine(postgres::Connection& target, const std::string& pipeline, TargetState& into) {
  auto held = target.run(
      "SELECT source_table, source_key, CASE state WHEN 'held' THEN reason ELSE reason || ', ' || state END,"
      " target_holds = 'none' FROM tidegate.quarantine WHERE pipeline = $1",
      {pipeline});
  for (int i = 0; i < held.rows(); ++i) {
    std::string table(held.text(i, 0));
    const bool nowhere = held.boolean(i, 3);
    into.quarantine[table].emplace(held.text(i, 1), HeldRow{std::string(held.text(i, 2)), !nowhere});
    if (nowhere) ++into.held_nowhere[table];
  }
}

}  // namespace

SnapshotConnection::SnapshotConnection(const postgres::ConnectOptions& options) : connection_(options) {
  connection_.run("SET row_security = off; SET jit = off");
}

void SnapshotConnection::begin() {
  transaction_.reset();
  transaction_.emplace(connection_, begin_snapshot);
  exported_ = connection_.run("SELECT pg_catalog.pg_export_snapshot()").text(0, 0);
}

void SnapshotConnection::join(const std::string& exported) {
  transaction_.reset();
  transaction_.emplace(connection_, begin_snapshot);
  connection_.run("SET TRANSACTION SNAPSHOT " + postgres::literal(exported));
  exported_ = exported;
}

TargetState read_state(postgres::Connection& target, const std::string& pipeline) {
  TargetState state;
  auto row = target.run("SELECT sequence, digest FROM tidegate.pipelines WHERE pipeline = $1", {pipeline});
  if (row.rows() != 1)
    throw Error("the target's control row of pipeline " + pipeline + " is gone", "", Advice::stop);
  state.sequence = static_cast<std::uint64_t>(row.integer(0, 0));
  state.digest = row.text(0, 1);
  auto plans = target.run("SELECT plan::text FROM tidegate.tables WHERE pipeline = $1", {pipeline});
  for (int i = 0; i < plans.rows(); ++i) {
    TablePlan plan = plan_from_json(plans.text(i, 0));
    state.plans.emplace(plan.source, std::move(plan));
  }
  read_quarantine(target, pipeline, state);
  state.one_position =
      target
          .run(
              "SELECT NOT EXISTS (SELECT FROM tidegate.resyncs WHERE pipeline = $1 AND state IN"
              " ('merging', 'rejoining'))",
              {pipeline})
          .boolean(0, 0);
  return state;
}

}  // namespace tidegate::verify
