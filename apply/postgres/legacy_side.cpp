#include "apply/postgres/legacy_side.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/postgres/control_schema.hpp"
#include "apply/postgres/refusals.hpp"
#include "apply/postgres/target_fence.hpp"
#include "apply/postgres/target_tables.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

// Rejects of an earlier way back are settled: a verify has come through since.
std::string account_sql(const std::string& pipeline, const Position& start) {
  return fmt::format(
      "INSERT INTO tidegate.pipelines(pipeline, incarnation, sequence, digest, phase) VALUES "
      "({0}, {1}, {2}, {3}, 'streaming') ON CONFLICT (pipeline) DO UPDATE SET incarnation = "
      "excluded.incarnation, sequence = excluded.sequence, digest = excluded.digest, direction = 'forward', "
      "updated_at = now();\n"
      "DELETE FROM tidegate.quarantine WHERE pipeline = {0};\n"
      "DELETE FROM tidegate.tables WHERE pipeline = {0};\n",
      postgres::literal(pipeline), postgres::literal(start.incarnation), start.sequence,
      postgres::literal(start.digest));
}

std::string plans_sql(const std::string& pipeline, const std::vector<TablePlan>& plans) {
  std::string sql;
  for (const auto& plan : plans)
    sql += fmt::format(
        "INSERT INTO tidegate.tables(pipeline, source_table, target_table, plan, created_by_us, loaded) "
        "VALUES "
        "({}, {}, {}, {}, false, true);\n",
        postgres::literal(pipeline), postgres::literal(plan.source), postgres::literal(shown_name(plan)),
        postgres::literal(to_json(plan)));
  return sql;
}

void wait_at_most(postgres::Connection& legacy, std::chrono::milliseconds wait) {
  legacy.run(fmt::format("SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = {}", wait.count()));
}

}  // namespace

TablePlan plan_back(const TablePlan& forward, const std::vector<std::string>& identity) {
  TablePlan back;
  back.source = shown_name(forward);
  const auto dot = forward.source.find('.');
  back.schema = forward.source.substr(0, dot);
  back.target = forward.source.substr(dot + 1);
  for (ColumnPlan column : forward.columns) {
    std::swap(column.source, column.target);
    back.columns.push_back(std::move(column));
  }
  for (const auto& name : identity) {
    const auto column = std::find_if(back.columns.begin(), back.columns.end(),
                                     [&](const ColumnPlan& each) { return each.source == name; });
    if (column == back.columns.end())
      throw Refused("way-back-not-reversible",
                    "the target names rows of " + back.source + " by column " + name +
                        ", which the legacy database does not have",
                    "give the target's table the legacy's key (ALTER TABLE … REPLICA IDENTITY)");
    back.key.push_back(column->target);
  }
  return back;
}

std::string fence_legacy_sql(postgres::Connection& look, const std::string& pipeline,
                             const std::vector<TablePlan>& back, const Position& start,
                             const std::string& run) {
  return control_schema_sql(look) + account_sql(pipeline, start) + plans_sql(pipeline, back) +
         fence_sql(look, pipeline, back) +
         fmt::format(
             "INSERT INTO tidegate.live_side(pipeline, run, live, refused_before) VALUES ({}, {}, 'target', "
             "{}) "
             "ON CONFLICT (pipeline) DO UPDATE SET run = excluded.run, live = excluded.live, since = now(), "
             "refused_before = excluded.refused_before;\n",
             postgres::literal(pipeline), postgres::literal(run), refused_so_far_sql(pipeline));
}

void begin_legacy_anew(postgres::Connection& legacy, const std::string& pipeline,
                       const std::vector<TablePlan>& back, const Position& start) {
  if (!ask_target(legacy, pipeline).is_live)
    throw Refused("legacy-not-fenced", "the legacy database takes the application's writes",
                  "`tidegate explain half-done` says how to find out which side has the newest rows");
  postgres::Transaction transaction(legacy);
  legacy.run("SET LOCAL synchronous_commit = on");
  legacy.run(account_sql(pipeline, start) + plans_sql(pipeline, back));
  failpoint("rebuild-before-account-commit");
  transaction.commit();
  failpoint("rebuild-after-account-commit");
}

void open_legacy_side(postgres::Connection& legacy, const std::string& pipeline, const std::string& run,
                      std::chrono::milliseconds wait) {
  const auto says = ask_target(legacy, pipeline);
  if (!says.is_live && says.run == run) return;
  postgres::Transaction transaction(legacy);
  wait_at_most(legacy, wait);
  switch_fence_off(legacy, recorded_plans(legacy, pipeline));
  legacy.run("UPDATE tidegate.pipelines SET direction = 'backward', updated_at = now() WHERE pipeline = $1",
             {pipeline});
  legacy.run("UPDATE tidegate.live_side SET run = $2, live = 'source', since = now() WHERE pipeline = $1",
             {pipeline, run});
  failpoint("legacy-before-open-commit");
  transaction.commit();
  failpoint("legacy-after-open-commit");
}

void mend_legacy_fence(postgres::Connection& legacy, const std::string& pipeline,
                       std::chrono::milliseconds wait) {
  postgres::Transaction transaction(legacy);
  wait_at_most(legacy, wait);
  if (auto sql = fence_sql(legacy, pipeline, recorded_plans(legacy, pipeline)); !sql.empty()) legacy.run(sql);
  transaction.commit();
}

}  // namespace tidegate
