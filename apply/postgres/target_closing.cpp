#include "apply/postgres/target_closing.hpp"

#include <fmt/format.h>

#include <set>

#include "apply/schema/planner.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

std::string only_one_sql(const std::string& pipeline) {
  return fmt::format("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({}, 0));\n",
                     postgres::literal("tidegate hold of " + pipeline));
}

std::string names_of(const std::vector<TablePlan>& plans) {
  std::set<std::string> names;
  for (const auto& plan : plans) names.insert(quoted_name(plan));
  std::string list;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

}  // namespace

std::string hold_target_sql(const std::string& pipeline, const std::vector<TablePlan>& plans) {
  const std::string names = names_of(plans);
  return only_one_sql(pipeline) +
         (names.empty() ? "" : fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names));
}

std::string close_target_sql(postgres::Connection& look, const std::string& pipeline,
                             const std::vector<TablePlan>& plans, const std::string& run) {
  const std::string name = postgres::literal(pipeline);
  return fence_sql(look, plans) +
         fmt::format(
             "UPDATE tidegate.pipelines SET direction = 'forward', updated_at = now() WHERE pipeline = {0};\n"
             "UPDATE tidegate.live_side SET run = {1}, live = 'source', since = now() WHERE pipeline = {0}",
             name, postgres::literal(run));
}

TargetLiveSide settle_target(postgres::Connection& target, const std::string& pipeline,
                             std::chrono::milliseconds wait) {
  postgres::Transaction transaction(target);
  target.run(fmt::format("SET LOCAL lock_timeout = {}", wait.count()));
  try {
    target.run(only_one_sql(pipeline));
  } catch (const Error& error) {
    if (error.code() != "55P03") throw;
    throw Error("an earlier hold of the target has not ended yet", error.code(), Advice::retry);
  }
  return ask_target(target, pipeline);
}

std::vector<std::string> in_the_way_of_a_hold(postgres::Connection& target,
                                              const std::vector<TablePlan>& plans,
                                              std::chrono::milliseconds longer_than) {
  std::vector<std::string> found;
  std::string names = "{";
  for (const auto& plan : plans)
    names += (names.size() > 1 ? "," : "") + fmt::format("\"{}.{}\"", plan.schema, plan.target);
  auto rows = target.run(
      "SELECT a.pid, coalesce(a.application_name, ''), "
      "floor(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start))::bigint "
      "FROM pg_catalog.pg_stat_activity AS a WHERE a.pid <> pg_catalog.pg_backend_pid() AND "
      "a.xact_start < pg_catalog.clock_timestamp() - $2::bigint * interval '1 millisecond' AND EXISTS "
      "(SELECT FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = l.relation "
      "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE l.pid = a.pid AND l.locktype = "
      "'relation' AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') AND "
      "n.nspname || '.' || c.relname = ANY ($1::text[])) ORDER BY a.xact_start",
      {names + "}", std::to_string(longer_than.count())});
  for (int i = 0; i < rows.rows(); ++i)
    found.push_back(
        fmt::format("pid {} ({}) since {} s", rows.integer(i, 0), rows.text(i, 1), rows.integer(i, 2)));
  return found;
}

}  // namespace tidegate
