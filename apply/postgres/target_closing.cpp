#include "apply/postgres/target_closing.hpp"

#include <fmt/format.h>

#include <set>
#include <thread>
#include <utility>

#include "apply/postgres/refusals.hpp"
#include "apply/schema/planner.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

std::string only_one_sql(const std::string& pipeline) {
  return fmt::format("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({}, 0));\n",
                     postgres::literal("tidegate hold of " + pipeline));
}

}  // namespace

std::string hold_request(const std::string& pipeline, const std::vector<TablePlan>& plans) {
  std::set<std::string> names;
  for (const auto& plan : plans) names.insert(quoted_name(plan));
  std::string request = only_one_sql(pipeline);
  for (const auto& name : names) request += '\0' + name;
  return request;
}

std::string close_target_sql(postgres::Connection& look, const std::string& pipeline,
                             const std::vector<TablePlan>& plans, const std::string& run) {
  const std::string name = postgres::literal(pipeline);
  return fence_sql(look, pipeline, plans) +
         fmt::format(
             "UPDATE tidegate.pipelines SET direction = 'forward', updated_at = now() WHERE pipeline = {0};\n"
             "UPDATE tidegate.live_side SET run = {1}, live = 'source', since = now(), refused_before = {2} "
             "WHERE pipeline = {0}",
             name, postgres::literal(run), refused_so_far_sql(pipeline));
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

namespace {

// Who holds one of the tables, or a partition of one, in a mode that a hold waits for. A role sees since when
// another one's transaction has been open only as a member of pg_read_all_stats. A prepared one has no
// session. The server's own (autovacuum) have no role; they are soon over.
constexpr const char* in_the_way = R"sql(
SELECT DISTINCT l.virtualtransaction, coalesce('pid ' || l.pid, 'prepared transaction ' || p.gid, 'transaction ' || l.virtualtransaction)
    || coalesce(' (' || a.application_name || ')', ''),
  pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared)))::bigint AS seconds,
  (pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared)) > $2::bigint * interval '1 millisecond'
FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_class AS c ON c.oid = coalesce(pg_catalog.pg_partition_root(l.relation), l.relation)
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_prepared_xacts AS p ON l.pid IS NULL AND l.virtualtransaction = '-1/' || p.transaction
WHERE l.locktype = 'relation' AND l.granted AND (l.pid IS NULL OR a.usesysid IS NOT NULL) AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
  AND n.nspname || '.' || c.relname = ANY ($1::text[])
ORDER BY seconds DESC NULLS LAST)sql";

struct InTheWay {
  std::set<std::string> unknown;  // virtual transactions of which the server does not say since when
  std::vector<std::pair<std::string, std::string>> found;  // virtual transaction, in words
};

InTheWay look_in_the_way(postgres::Connection& server, const std::string& names,
                         std::chrono::milliseconds longer_than) {
  InTheWay seen;
  auto rows = server.run(in_the_way, {names, std::to_string(longer_than.count())});
  for (int i = 0; i < rows.rows(); ++i) {
    const std::string who(rows.text(i, 1));
    if (rows.is_null(i, 2)) {
      seen.unknown.emplace(rows.text(i, 0));
      seen.found.emplace_back(rows.text(i, 0), who);
    } else if (rows.boolean(i, 3)) {
      seen.found.emplace_back("", fmt::format("{} since {} s", who, rows.integer(i, 2)));
    }
  }
  return seen;
}

}  // namespace

std::vector<std::string> in_the_way_of_a_hold(postgres::Connection& target,
                                              const std::vector<TablePlan>& plans,
                                              std::chrono::milliseconds longer_than) {
  std::string names = "{";
  for (const auto& plan : plans)
    names += (names.size() > 1 ? "," : "") + fmt::format("\"{}.{}\"", plan.schema, plan.target);
  names += "}";
  auto seen = look_in_the_way(target, names, longer_than);
  const auto before = seen.unknown;
  if (!before.empty()) {
    std::this_thread::sleep_for(longer_than);
    seen = look_in_the_way(target, names, longer_than);
  }
  std::vector<std::string> found;
  for (const auto& [transaction, words] : seen.found)
    if (transaction.empty() || before.contains(transaction)) found.push_back(words);
  return found;
}

}  // namespace tidegate
