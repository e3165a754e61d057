#include "apply/postgres/reset.hpp"

#include <algorithm>

#include "apply/plan.hpp"
#include "apply/postgres/control_schema.hpp"
#include "apply/postgres/refusals.hpp"
#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/statements.hpp"
#include "apply/postgres/target_fence.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

struct Filled {
  TablePlan plan;
  bool made_by_us = false;
};

std::vector<Filled> filled_by(postgres::Connection& target, const std::string& pipeline) {
  auto rows =
      target.run("SELECT plan, created_by_us FROM tidegate.tables WHERE pipeline = $1 ORDER BY source_table",
                 {pipeline});
  std::vector<Filled> all;
  for (int i = 0; i < rows.rows(); ++i) all.push_back({plan_from_json(rows.text(i, 0)), rows.boolean(i, 1)});
  return all;
}

Emptied empty(postgres::Connection& target, const Filled& filled, const std::string& pipeline) {
  unfence_target(target, {filled.plan});
  return {shown_name(filled.plan), false, target.run(delete_all_sql(filled.plan, pipeline)).affected()};
}

// In one statement, so that foreign keys among them do not matter.
void drop(postgres::Connection& target, const std::vector<Filled>& made, std::vector<Emptied>& emptied) {
  std::string names;
  for (const Filled& filled : made) {
    unfence_target(target, {filled.plan});
    names += (names.empty() ? "" : ", ") + quoted_name(filled.plan);
    emptied.push_back({shown_name(filled.plan), true, 0});
  }
  if (names.empty()) return;
  try {
    target.run("DROP TABLE " + names);
  } catch (const Error& error) {
    if (error.code() != "2BP01") throw;
    throw Refused("target-tables-needed",
                  "a view or a foreign key of somebody else depends on a table that tidegate made",
                  "drop it first; DROP TABLE in psql, without CASCADE, names what depends on a table");
  }
}

// Whoever runs finds another epoch.
void take_over(postgres::Connection& target, const std::string& pipeline) {
  auto row = target.run("UPDATE tidegate.pipelines SET epoch = epoch + 1 WHERE pipeline = $1 RETURNING epoch",
                        {pipeline});
  if (row.rows() == 0)
    throw Refused("no-such-pipeline", "the target holds nothing of pipeline '" + pipeline + "'",
                  "name the pipeline and its target as `tidegate run` had them");
}

bool there_is(postgres::Connection& target, const char* table) {
  return target.run("SELECT pg_catalog.to_regclass($1) IS NOT NULL", {table}).boolean(0, 0);
}

// What refers to rows of others waits until those have lost theirs.
std::vector<Emptied> empty_all(postgres::Connection& target, const std::string& pipeline) {
  std::vector<Filled> left = filled_by(target, pipeline);
  std::vector<Emptied> emptied;
  const auto made =
      std::stable_partition(left.begin(), left.end(), [](const Filled& each) { return !each.made_by_us; });
  drop(target, {made, left.end()}, emptied);
  left.erase(made, left.end());
  while (!left.empty()) {
    std::vector<Filled> refused;
    std::optional<Error> failure;
    for (const Filled& filled : left) {
      failure = attempt(target, [&] { emptied.push_back(empty(target, filled, pipeline)); });
      if (failure) refused.push_back(filled);
    }
    if (refused.size() == left.size()) throw *failure;
    left = std::move(refused);
  }
  return emptied;
}

// The next load must not be sent to clients.
void leave_realtime(postgres::Connection& target, const std::string& pipeline) {
  if (!there_is(target, "tidegate.realtime")) return;
  auto joined =
      target.run("DELETE FROM tidegate.realtime WHERE pipeline = $1 RETURNING table_name", {pipeline});
  for (int i = 0; i < joined.rows(); ++i) {
    const std::string table(joined.text(i, 0));
    const bool member = target
                            .run(
                                "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN "
                                "pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE p.pubname = "
                                "'supabase_realtime' AND r.prrelid = pg_catalog.to_regclass($1))",
                                {table})
                            .boolean(0, 0);
    if (member) target.run("ALTER PUBLICATION supabase_realtime DROP TABLE " + table);
  }
}

// What they did to tables that are made anew is gone with the old ones.
void forget_post_sql(postgres::Connection& target, const std::string& pipeline,
                     const std::vector<Emptied>& emptied) {
  const bool some_dropped =
      std::any_of(emptied.begin(), emptied.end(), [](const Emptied& each) { return each.dropped; });
  if (some_dropped && there_is(target, "tidegate.post_sql"))
    target.run("DELETE FROM tidegate.post_sql WHERE pipeline = $1", {pipeline});
}

}  // namespace

std::vector<Emptied> empty_target(postgres::Connection& target, const std::string& pipeline) {
  if (!there_is(target, "tidegate.pipelines"))
    throw Refused("no-such-pipeline", "the target holds nothing of tidegate", "look at --target");
  install_control_schema(target);
  postgres::Transaction transaction(target);
  take_over(target, pipeline);
  leave_realtime(target, pipeline);
  auto emptied = empty_all(target, pipeline);
  for (const auto& table : emptied)
    target.run("DELETE FROM tidegate.migration_checkpoints WHERE table_name = $1", {table.table});
  target.run("DELETE FROM tidegate.pipelines WHERE pipeline = $1", {pipeline});
  forget_refusals(target, pipeline);
  forget_post_sql(target, pipeline, emptied);
  failpoint("reset-before-commit");
  transaction.commit();
  return emptied;
}

}  // namespace tidegate
