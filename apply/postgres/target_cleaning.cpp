#include "apply/postgres/target_cleaning.hpp"

#include <fmt/format.h>

#include "apply/postgres/refusals.hpp"
#include "apply/postgres/target_fence.hpp"
#include "apply/postgres/target_tables.hpp"
#include "apply/schema/planner.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

bool knows(postgres::Connection& target, const std::string& pipeline) {
  if (!target.run("SELECT pg_catalog.to_regclass('tidegate.live_side') IS NOT NULL").boolean(0, 0))
    return false;
  return target.run("SELECT EXISTS (SELECT FROM tidegate.pipelines WHERE pipeline = $1)", {pipeline})
      .boolean(0, 0);
}

// By which tidegate told rows of tables without a key apart.
void drop_hidden_columns(postgres::Connection& target, const std::string& pipeline,
                         const std::vector<TablePlan>& plans) {
  for (const auto& plan : plans) {
    if (plan.key != std::vector<std::string>{kRidTarget}) continue;
    auto ours =
        target.run("SELECT created_by_us FROM tidegate.tables WHERE pipeline = $1 AND source_table = $2",
                   {pipeline, plan.source});
    if (ours.rows() == 1 && ours.boolean(0, 0))
      target.run(
          fmt::format("ALTER TABLE {} DROP COLUMN IF EXISTS {}", quoted_name(plan), quoted(kRidTarget)));
  }
}

}  // namespace

std::string export_account(postgres::Connection& target, const std::string& pipeline) {
  if (!knows(target, pipeline)) return "";
  auto row = target.run(
      "SELECT pg_catalog.jsonb_pretty(pg_catalog.jsonb_build_object('pipeline', $1::text, "
      "'migration_checkpoints', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(c) ORDER BY c.id), "
      "'[]') FROM tidegate.migration_checkpoints AS c), 'left_out', (SELECT "
      "coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('table', q.source_table, 'key', "
      "q.source_key, 'column', q.column_name, 'reason', q.reason, 'accepted', q.accepted_reason) ORDER BY "
      "q.id), '[]') FROM tidegate.quarantine AS q WHERE q.pipeline = $1)))",
      {pipeline});
  return std::string(row.text(0, 0));
}

void clean_target(postgres::Connection& target, const std::string& pipeline) {
  if (!knows(target, pipeline)) return;
  postgres::Transaction transaction(target);
  const auto plans = recorded_plans(target, pipeline);
  unfence_target(target, plans);
  drop_hidden_columns(target, pipeline, plans);
  target.run("DELETE FROM tidegate.pipelines WHERE pipeline = $1", {pipeline});
  target.run("DELETE FROM tidegate.keys WHERE pipeline = $1", {pipeline});
  if (target.run("SELECT NOT EXISTS (SELECT FROM tidegate.pipelines)").boolean(0, 0))
    target.run("DROP SCHEMA tidegate CASCADE");
  else
    forget_refusals(target, pipeline);
  failpoint("finalize-before-target-commit");
  transaction.commit();
}

}  // namespace tidegate
