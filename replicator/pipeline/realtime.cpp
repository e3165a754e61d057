#include "replicator/pipeline/realtime.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "replicator/log.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

constexpr const char* look_sql = R"(
SELECT p.oid IS NOT NULL, coalesce(pg_catalog.pg_has_role(p.pubowner, 'USAGE'), false),
  coalesce(c.relkind IN ('r', 'p'), false), coalesce(pg_catalog.pg_has_role(c.relowner, 'USAGE'), false),
  coalesce(c.relreplident = 'f', false) OR EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid
    AND i.indimmediate AND ((c.relreplident = 'd' AND i.indisprimary) OR (c.relreplident = 'i' AND i.indisreplident))),
  EXISTS (SELECT FROM pg_catalog.pg_publication_tables t
    WHERE t.pubname = p.pubname AND t.schemaname = n.nspname AND t.tablename = c.relname)
FROM (SELECT pg_catalog.to_regclass($1) AS oid) AS named
LEFT JOIN pg_catalog.pg_class c ON c.oid = named.oid
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_publication p ON p.pubname = $2)";

constexpr const char* make_history = R"(
CREATE TABLE IF NOT EXISTS tidegate.realtime (
  pipeline text NOT NULL,
  table_name text NOT NULL,  -- quoted, with its schema
  joined_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (pipeline, table_name));
REVOKE ALL ON tidegate.realtime FROM PUBLIC)";

std::string quoted_table(const std::string& name) {
  const auto dot = name.find('.');
  return tidegate::quoted(name.substr(0, dot)) + "." + tidegate::quoted(name.substr(dot + 1));
}

struct Looked {
  bool publication, publication_ours, table, table_ours, identity, joined;
};

Looked look(postgres::Connection& target, const std::string& table) {
  auto row = target.run(look_sql, {quoted_table(table), kRealtimePublication});
  return {row.boolean(0, 0), row.boolean(0, 1), row.boolean(0, 2),
          row.boolean(0, 3), row.boolean(0, 4), row.boolean(0, 5)};
}

Finding block(const char* code, const std::string& table, std::string message, std::string mend) {
  return {Level::block, code, table, "", std::move(message), std::move(mend)};
}

// The first thing that stands in the way. `made`: tidegate makes the table, with a key that it can publish.
std::optional<Finding> obstacle(const Looked& seen, const std::string& table, bool made) {
  const std::string take_out = ", or take it out of [target] realtime";
  if (!seen.publication)
    return block(
        "realtime-no-publication", table,
        fmt::format("the target has no publication {}, which {} is to join", kRealtimePublication, table),
        fmt::format("CREATE PUBLICATION {};{}", kRealtimePublication, take_out));
  if (!seen.table && !made)
    return block("realtime-no-table", table,
                 fmt::format("table {} is to join {} and is not there", table, kRealtimePublication),
                 "make it with a migration, correct the name" + take_out);
  if (seen.joined) return std::nullopt;
  if (!seen.publication_ours || (seen.table && !seen.table_ours))
    return block("realtime-not-ours", table,
                 fmt::format("{} is to join {}, and one of the two belongs to another role", table,
                             kRealtimePublication),
                 "connect as their owner" + take_out);
  if (seen.table && !seen.identity)
    return block(
        "realtime-no-identity", table,
        fmt::format("{} has nothing that tells its rows apart: as a member of {} it would refuse every "
                    "UPDATE and DELETE",
                    table, kRealtimePublication),
        "give it a primary key, or ALTER TABLE … REPLICA IDENTITY FULL" + take_out);
  return std::nullopt;
}

bool is_one_of(const std::string& table, const std::vector<TablePlan>& plans) {
  return std::any_of(plans.begin(), plans.end(),
                     [&](const TablePlan& plan) { return plan.schema + "." + plan.target == table; });
}

std::set<std::string> joined_before(TargetSession& session) {
  auto& target = session.connection();
  std::set<std::string> joined;
  if (target.run("SELECT pg_catalog.to_regclass('tidegate.realtime')").is_null(0, 0)) return joined;
  auto rows =
      target.run("SELECT table_name FROM tidegate.realtime WHERE pipeline = $1", {session.pipeline()});
  for (int i = 0; i < rows.rows(); ++i) joined.emplace(rows.text(i, 0));
  return joined;
}

// Somebody else's lock on the table must not hold up the stream for long.
void join(TargetSession& session, const std::string& table, bool is_member) {
  TargetTransaction transaction(session);
  auto& target = session.connection();
  target.run("SET LOCAL lock_timeout = '2s'");
  target.run(make_history);
  target.run("INSERT INTO tidegate.realtime(pipeline, table_name) VALUES ($1, $2)",
             {session.pipeline(), quoted_table(table)});
  if (!is_member)
    target.run(fmt::format("ALTER PUBLICATION {} ADD TABLE {}", kRealtimePublication, quoted_table(table)));
  failpoint("realtime-before-commit");
  transaction.commit();
  failpoint("realtime-after-commit");
  log_event(LogLevel::info, "table joined realtime", {{"table", table}});
}

std::optional<Finding> try_to_join(TargetSession& session, const std::string& table) {
  const Looked seen = look(session.connection(), table);
  if (auto found = obstacle(seen, table, false)) return found;
  try {
    join(session, table, seen.joined);
    return std::nullopt;
  } catch (const Error& error) {
    if (!session.connection().usable() || session.connection().in_transaction()) throw;
    return Finding{Level::warn,
                   "realtime-refused",
                   table,
                   "",
                   fmt::format("{} did not join {}: {}", table, kRealtimePublication, error.what()),
                   "it is tried again; what the server says names the reason"};
  }
}

}  // namespace

std::vector<Finding> find_realtime(postgres::Connection& target, const std::vector<std::string>& tables,
                                   const std::vector<TablePlan>& made) {
  std::vector<Finding> findings;
  for (const std::string& table : tables) {
    if (auto found = obstacle(look(target, table), table, is_one_of(table, made)))
      findings.push_back(std::move(*found));
  }
  return findings;
}

std::vector<Finding> find_published(postgres::Connection& target, const std::vector<TablePlan>& plans) {
  std::vector<Finding> findings;
  std::set<std::string> seen;
  for (const TablePlan& plan : plans) {
    const std::string table = plan.schema + "." + plan.target;
    if (!seen.insert(table).second || !look(target, table).joined) continue;
    findings.push_back({Level::warn, "realtime-floods", plan.source, "",
                        fmt::format("{} is in {} already: each row of the load would be sent to its clients",
                                    table, kRealtimePublication),
                        fmt::format("ALTER PUBLICATION {} DROP TABLE {}, and name it in [target] realtime",
                                    kRealtimePublication, quoted_table(table))});
  }
  return findings;
}

std::vector<Finding> join_realtime(TargetSession& session, const std::vector<std::string>& tables) {
  std::vector<Finding> findings;
  if (tables.empty()) return findings;
  const auto before = joined_before(session);
  for (const std::string& table : tables) {
    if (!before.contains(quoted_table(table))) {
      if (auto found = try_to_join(session, table)) findings.push_back(std::move(*found));
    } else if (!look(session.connection(), table).joined) {
      findings.push_back(
          {Level::note, "realtime-taken-out", table, "",
           fmt::format("{} had joined {} and was taken out since; it stays out", table, kRealtimePublication),
           "add it by hand if it should be there"});
    }
  }
  return findings;
}

}  // namespace tidegate
