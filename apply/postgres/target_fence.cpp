#include "apply/postgres/target_fence.hpp"

#include <fmt/format.h>

#include <set>

#include "apply/postgres/refusals.hpp"
#include "apply/schema/planner.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

constexpr const char* trigger_name = "_tidegate_fence";
constexpr const char* row_trigger_name = "_tidegate_fence_row";

struct TargetTable {
  const TablePlan* plan;
  bool is_partitioned = false;
  bool is_ours = false;  // who may make a trigger but owns nothing could not drop it again
  std::set<std::string> triggers, disabled;  // ours: those that fire, and those that do not
};

std::set<std::string> words_of(std::string_view text) {
  const std::string padded = fmt::format(" {} ", text);  // one name begins with the other
  std::set<std::string> words;
  for (const char* name : {trigger_name, row_trigger_name})
    if (padded.find(fmt::format(" {} ", name)) != std::string::npos) words.emplace(name);
  return words;
}

// Those that are there, each once: several plans may fill one.
std::vector<TargetTable> tables_with_triggers(postgres::Connection& target,
                                              const std::vector<TablePlan>& plans) {
  constexpr const char* text =
      "SELECT c.relkind = 'p', pg_catalog.pg_has_role(c.relowner, 'USAGE'), coalesce(string_agg(t.tgname, ' "
      "') FILTER (WHERE t.tgenabled IN ('O', 'A')), ''), coalesce(string_agg(t.tgname, ' ') FILTER (WHERE "
      "t.tgenabled NOT IN ('O', 'A')), '') FROM pg_catalog.pg_class AS c LEFT JOIN pg_catalog.pg_trigger AS "
      "t ON t.tgrelid = c.oid AND t.tgname IN ($2, $3) WHERE c.oid = pg_catalog.to_regclass($1) GROUP BY "
      "c.oid, c.relkind, c.relowner";
  std::vector<TargetTable> tables;
  std::set<std::string> seen;
  for (const auto& plan : plans) {
    if (!seen.insert(quoted_name(plan)).second) continue;
    auto row = target.run(text, {quoted_name(plan), trigger_name, row_trigger_name});
    if (row.rows() == 0) continue;
    tables.push_back(
        {&plan, row.boolean(0, 0), row.boolean(0, 1), words_of(row.text(0, 2)), words_of(row.text(0, 3))});
  }
  return tables;
}

bool is_fenced(const TargetTable& table) {
  return table.triggers.contains(trigger_name) &&
         (!table.is_partitioned || table.triggers.contains(row_trigger_name));
}

// One statement for each part of a partitioned table that has the trigger in another state: what is done to
// the root goes on to its partitions in some versions, and in some not.
std::string switch_sql(postgres::Connection& target, const TargetTable& table, const std::string& trigger,
                       bool on) {
  auto parts = target.run(
      "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_trigger AS t JOIN "
      "pg_catalog.pg_class AS c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = "
      "c.relnamespace WHERE t.tgname = $2 AND (t.tgenabled IN ('O', 'A')) <> $3::boolean AND (c.oid = "
      "pg_catalog.to_regclass($1) OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree("
      "pg_catalog.to_regclass($1)))) ORDER BY c.oid",
      {quoted_name(*table.plan), trigger, on ? "true" : "false"});
  std::string sql;
  for (int i = 0; i < parts.rows(); ++i)
    sql += fmt::format("ALTER TABLE ONLY {} {} TRIGGER {};\n", parts.text(i, 0), on ? "ENABLE" : "DISABLE",
                       trigger);
  return sql;
}

std::string trigger_sql(postgres::Connection& target, const std::string& pipeline, const TargetTable& table,
                        const char* trigger, const char* events) {
  if (table.triggers.contains(trigger)) return "";
  if (table.disabled.contains(trigger)) return switch_sql(target, table, trigger, true);
  return fmt::format("CREATE TRIGGER {} BEFORE {} EXECUTE FUNCTION tidegate.refuse_write({});\n", trigger,
                     fmt::format(fmt::runtime(events), quoted_name(*table.plan)),
                     postgres::literal(refusal_sequence(pipeline)));
}

std::string triggers_sql(postgres::Connection& target, const std::string& pipeline,
                         const TargetTable& table) {
  std::string sql = trigger_sql(target, pipeline, table, trigger_name,
                                "INSERT OR UPDATE OR DELETE OR TRUNCATE ON {} FOR EACH STATEMENT");
  if (table.is_partitioned)
    sql += trigger_sql(target, pipeline, table, row_trigger_name,
                       "INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW");
  return sql;
}

// Until now the source's rowids were in the hidden column of tables without a key; from now on the target
// gives them out, behind the highest that came.
void let_rowids_go_on(postgres::Connection& target, const TablePlan& plan) {
  if (plan.key != std::vector<std::string>{kRidTarget}) return;
  const std::string name = quoted_name(plan), column = quoted(kRidTarget);
  auto has_none = target.run(
      "SELECT attidentity = '' AND NOT atthasdef FROM pg_catalog.pg_attribute WHERE attrelid = "
      "pg_catalog.to_regclass($1) AND attname = $2",
      {name, kRidTarget});
  if (has_none.rows() == 0) return;
  if (has_none.boolean(0, 0))
    target.run(
        fmt::format("ALTER TABLE {} ALTER COLUMN {} ADD GENERATED BY DEFAULT AS IDENTITY", name, column));
  target.run(
      fmt::format("SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence($1, $2), "
                  "greatest(highest, 1), highest >= 1) FROM (SELECT coalesce(max({}), 0) AS highest FROM "
                  "{}) AS rowids",
                  column, name),
      {name, kRidTarget});
}

}  // namespace

std::string fence_sql(postgres::Connection& target, const std::string& pipeline,
                      const std::vector<TablePlan>& plans) {
  std::string sql;
  for (const auto& table : tables_with_triggers(target, plans)) {
    if (table.is_ours && !is_fenced(table)) sql += triggers_sql(target, pipeline, table);
  }
  return sql.empty() ? sql : count_refusals_sql(pipeline) + sql;
}

void fence_target(TargetSession& session, const std::vector<TablePlan>& plans) {
  if (!session.replica_mode() || session.is_open()) return;
  if (auto sql = fence_sql(session.connection(), session.pipeline(), plans); !sql.empty())
    session.connection().run(sql);
}

void unfence_target(postgres::Connection& target, const std::vector<TablePlan>& plans) {
  for (const auto& table : tables_with_triggers(target, plans)) {
    std::set<std::string> all = table.triggers;
    all.insert(table.disabled.begin(), table.disabled.end());
    for (const auto& trigger : all)
      target.run(fmt::format("DROP TRIGGER {} ON {}", trigger, quoted_name(*table.plan)));
  }
}

void switch_fence_off(postgres::Connection& target, const std::vector<TablePlan>& plans) {
  for (const auto& table : tables_with_triggers(target, plans)) {
    for (const auto& trigger : table.triggers)
      if (auto sql = switch_sql(target, table, trigger, false); !sql.empty()) target.run(sql);
  }
}

Unfenced unfenced_targets(postgres::Connection& target, const std::vector<TablePlan>& plans) {
  Unfenced open;
  for (const auto& table : tables_with_triggers(target, plans)) {
    if (is_fenced(table)) continue;
    auto& list = table.is_ours ? open.ours : open.of_others;
    list.push_back(table.plan->schema + "." + table.plan->target);
  }
  return open;
}

TargetLiveSide ask_target(postgres::Connection& target, const std::string& pipeline) {
  TargetLiveSide says;
  if (!target.run("SELECT pg_catalog.to_regclass('tidegate.live_side') IS NOT NULL").boolean(0, 0))
    return says;
  auto row =
      target.run("SELECT live = 'target', run FROM tidegate.live_side WHERE pipeline = $1", {pipeline});
  if (row.rows() == 1) says = {row.boolean(0, 0), std::string(row.text(0, 1))};
  return says;
}

void open_target(TargetSession& session, const std::vector<TablePlan>& plans, const std::string& run) {
  auto& target = session.connection();
  if (ask_target(target, session.pipeline()).run == run) return;
  TargetTransaction transaction(session);
  switch_fence_off(target, plans);
  for (const auto& plan : plans) let_rowids_go_on(target, plan);
  target.run("UPDATE tidegate.pipelines SET direction = 'backward', updated_at = now() WHERE pipeline = $1",
             {session.pipeline()});
  target.run(
      "INSERT INTO tidegate.live_side(pipeline, run, live) VALUES ($1, $2, 'target') ON CONFLICT (pipeline) "
      "DO UPDATE SET run = excluded.run, live = excluded.live, since = now()",
      {session.pipeline(), run});
  failpoint("cutover-before-open-commit");
  transaction.commit();
  session.opened();
  failpoint("cutover-after-open-commit");
}

}  // namespace tidegate
