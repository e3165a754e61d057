#include "replicator/cutover/postgres_way_back.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/postgres/legacy_side.hpp"
#include "apply/postgres/native/native_sink.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/target_fence.hpp"
#include "apply/postgres/target_tables.hpp"
#include "capture/postgres/publication.hpp"
#include "capture/postgres/watch.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/back_plans.hpp"
#include "replicator/cutover/postgres_mapped.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/sequence_ends.hpp"

namespace tidegate::cutover {
namespace {

using Level = Finding::Level;

// Of one row of each table, in a transaction that is rolled back; rows that somebody holds are passed over.
void try_to_write(postgres::Connection& legacy, const std::vector<TablePlan>& back) {
  postgres::Transaction canary(legacy);
  for (const auto& plan : back) {
    const auto column = std::find_if(plan.columns.begin(), plan.columns.end(),
                                     [](const ColumnPlan& each) { return !each.identity; });
    if (column == plan.columns.end()) continue;
    const std::string name = quoted_name(plan), value = tidegate::quoted(column->target);
    legacy.run(
        fmt::format("UPDATE {0} SET {1} = {1} WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM {0} "
                    "LIMIT 1 FOR UPDATE SKIP LOCKED)",
                    name, value));
  }
}

// Triggers of the application that fire in replica mode too would do their work twice.
std::vector<std::string> always_triggers(postgres::Connection& legacy, const std::vector<TablePlan>& back) {
  std::vector<std::string> found;
  for (const auto& plan : back) {
    auto rows = legacy.run(
        "SELECT tgname FROM pg_catalog.pg_trigger WHERE tgrelid = pg_catalog.to_regclass($1) AND NOT "
        "tgisinternal AND tgenabled IN ('A', 'R')",
        {quoted_name(plan)});
    for (int i = 0; i < rows.rows(); ++i)
      found.push_back(shown_name(plan) + "." + std::string(rows.text(i, 0)));
  }
  return found;
}

Finding blocked(std::string code, std::string message, std::string mend) {
  return {Level::block, std::move(code), "", "", std::move(message), std::move(mend)};
}

// A table without a key is published with whole rows. The source's role was asked before its own table was
// changed so; these are tidegate's, and nobody uses them yet.
void send_whole_rows(postgres::Connection& target, const std::string& pipeline,
                     const std::vector<capture::PostgresTable>& tables) {
  for (const auto& table : tables) {
    if (table.usable_identity()) continue;
    const auto ours = target.run(
        "SELECT EXISTS (SELECT FROM tidegate.tables WHERE pipeline = $1 AND target_table = $2 AND "
        "created_by_us)",
        {pipeline, table.source});
    if (!ours.boolean(0, 0)) continue;  // the publication says what its owner has to do
    postgres::Transaction transaction(target);
    for (const auto& statement : capture::identity_full_statements(table)) target.run(statement);
    transaction.commit();
  }
}

struct There {
  std::string incarnation, digest;
  std::uint64_t sequence = 0;
};

// How far the legacy database says that it has followed; absent where it was never fenced.
std::optional<There> followed(postgres::Connection& legacy, const std::string& pipeline) {
  if (!legacy.run("SELECT pg_catalog.to_regclass('tidegate.live_side') IS NOT NULL").boolean(0, 0))
    return std::nullopt;
  auto row = legacy.run("SELECT incarnation, digest, sequence FROM tidegate.pipelines WHERE pipeline = $1",
                        {pipeline});
  if (row.rows() == 0) return std::nullopt;
  return There{std::string(row.text(0, 0)), std::string(row.text(0, 1)),
               static_cast<std::uint64_t>(row.integer(0, 2))};
}

}  // namespace

void PostgresWayBack::prepare(std::stop_token stop) {
  auto target = connect_target(connect_options(settings_, "tidegate way back"));
  const auto names =
      look_([&](postgres::Connection& legacy) { return plans_back(target, legacy, settings_).followed; });
  send_whole_rows(target, settings_.pipeline, capture::read_catalog(target, names, {}));
  make_stream(names, stop);
}

std::uint64_t PostgresWayBack::known_position() {
  const auto there =
      look_([&](postgres::Connection& legacy) { return followed(legacy, settings_.pipeline); });
  return there ? known_by(Position{there->incarnation, there->sequence, there->digest}) : 0;
}

std::vector<Finding> PostgresWayBack::ready() {
  std::vector<Finding> findings;
  find_stream_trouble(findings);
  if (findings.empty()) find_foreign_writers(known_position(), findings);
  find_legacy_trouble(findings);
  return findings;
}

void PostgresWayBack::find_legacy_trouble(std::vector<Finding>& findings) {
  try {
    auto target = connect_target(connect_options(settings_, "tidegate way back"));
    auto legacy = connect_source(source_options(settings_, "tidegate way back"));
    auto planned = plans_back(target, legacy, settings_);
    const auto& back = planned.plans;
    for (Finding& finding : planned.findings) findings.push_back(std::move(finding));
    for (const auto& trigger : always_triggers(legacy, back))
      findings.push_back(
          blocked("legacy-trigger-always",
                  "trigger " + trigger +
                      " of the source fires for what comes back as well, so its work is done twice",
                  "ALTER TABLE … ENABLE TRIGGER …, which leaves it as it is for the application"));
    legacy.run("SET lock_timeout = '1s'; SET session_replication_role = replica");
    try_to_write(legacy, back);
  } catch (const Error& failure) {
    const bool no_replica_mode = failure.code() == "42501";
    findings.push_back(blocked(
        "legacy-not-writable",
        std::string("the legacy database does not take what comes back: ") + failure.what(),
        no_replica_mode
            ? "let tidegate's role pass the fence and the application's triggers: GRANT SET ON PARAMETER "
              "session_replication_role TO role (PostgreSQL 15 and later; before that a superuser)"
            : "see that tidegate's role may write to the source's tables"));
  } catch (const std::exception& failure) {
    findings.push_back(blocked("legacy-not-writable", told(failure).message, told(failure).mend));
  }
}

namespace {

TargetOptions legacy_options(const Settings& settings) {
  TargetOptions options;
  options.connect = source_options(settings, "tidegate way back " + settings.pipeline);
  options.pipeline = settings.pipeline;
  options.filled_before = true;
  return options;
}

Plans plans_there(TargetSession& legacy) {
  if (!legacy.replica_mode())
    throw Refused("legacy-not-writable", "tidegate's role may not set session_replication_role at the source",
                  "GRANT SET ON PARAMETER session_replication_role TO role");
  Plans plans;
  for (auto& plan : recorded_plans(legacy.connection(), legacy.pipeline()))
    plans.insert_or_assign(plan.source, std::move(plan));
  return plans;
}

}  // namespace

PostgresWayBack::Writing::Writing(const Settings& settings, const std::string& incarnation,
                                  NativeSink::Guards guards)
    : session(legacy_options(settings), incarnation),
      plans(plans_there(session)),
      quarantine(session),
      sink(session, quarantine, plans, guards) {}

void PostgresWayBack::work(const Position&, const std::stop_token& stop) {
  JournalReader journal(capture_.journal_path());
  Writing writing(settings_, journal.incarnation());
  const Position& position = writing.session.position();
  if (writing.session.is_open() || journal.digest_at(position.sequence) != position.digest)
    throw Refused(
        "way-back-not-in-history",
        fmt::format("the legacy database is at position {} of a way back that this state directory does "
                    "not have: one of them was restored or swapped",
                    position.sequence),
        "restore the state directory that belongs to it");
  hand_over_keys();
  follow_into(writing, stop);
}

void PostgresWayBack::follow_into(Writing& writing, const std::stop_token& stop) {
  std::optional<PostgresMapped> mapped;
  if (!settings_.maps.empty()) {
    mapped.emplace(settings_, PostgresMapped::Into{writing.session, writing.quarantine, writing.plans});
    mapped->follow(writing.sink, capture_.journal_path());
  }
  Sink& sink = mapped ? mapped->sink() : writing.sink;
  JournalReader journal(capture_.journal_path());
  Applier applier(journal, sink, {}, batches_back, [](const SchemaChange&, std::uint64_t) {});
  follow(
      applier, sink, [&] { return writing.quarantine.size(); }, stop);
}

std::size_t PostgresWayBack::rejects() {
  return look_([&](postgres::Connection& legacy) -> std::size_t {
    if (!followed(legacy, settings_.pipeline)) return 0;
    auto row =
        legacy.run("SELECT count(*) FROM tidegate.quarantine WHERE pipeline = $1", {settings_.pipeline});
    return static_cast<std::size_t>(row.integer(0, 0));
  });
}

void PostgresWayBack::find_rejects(std::vector<Finding>& findings) {
  look_([&](postgres::Connection& legacy) {
    auto rows = legacy.run(
        "SELECT count(*), target_table || ': ' || reason FROM tidegate.quarantine WHERE pipeline = $1 GROUP "
        "BY 2 ORDER BY 2",
        {settings_.pipeline});
    for (int i = 0; i < rows.rows(); ++i)
      findings.push_back(blocked("way-back-rejects",
                                 fmt::format("{} rows of the target do not fit into the legacy database ({})",
                                             rows.integer(i, 0), rows.text(i, 1)),
                                 "mend them on the target (the legacy database's table tidegate.quarantine "
                                 "has their keys), or give them up: tidegate rollback --accept-loss"));
    return 0;
  });
}

std::vector<Finding> PostgresWayBack::ready_to_return() {
  std::vector<Finding> findings;
  find_stream_trouble(findings);
  find_legacy_trouble(findings);
  find_rejects(findings);
  auto target = connect_target(connect_options(settings_, "tidegate way back"));
  std::vector<std::string> names;
  for (const auto& plan : recorded_plans(target, settings_.pipeline))
    if (plan.from.empty()) names.push_back(shown_name(plan));
  target_tables_ =
      names.empty() ? std::vector<capture::PostgresTable>{} : capture::read_catalog(target, names, {});
  auto unknown = look_([&](postgres::Connection& legacy) {
    return sequence_findings(target, legacy, target_tables_, recorded_plans(legacy, settings_.pipeline),
                             "target", "legacy database");
  });
  for (Finding& finding : unknown) findings.push_back(std::move(finding));
  return findings;
}

void PostgresWayBack::hand_over_ids() {
  auto target = connect_target(connect_options(settings_, "tidegate way back"));
  const auto values = capture::read_sequences(target, target_tables_);
  failpoint("legacy-before-ids");
  look_([&](postgres::Connection& legacy) {
    set_sequences_exactly(legacy, sequence_ends(values, recorded_plans(legacy, settings_.pipeline)));
    return 0;
  });
}

// Before the legacy database takes writes: from then on the mapping asks for them.
void PostgresWayBack::hand_over_keys() {
  if (!keys_) return;
  const auto pairs =
      look_([&](postgres::Connection& legacy) { return pairs_in(legacy, settings_.pipeline); });
  if (!pairs.empty()) keys_->take_pairs(pairs);
}

void PostgresWayBack::resume() {
  hand_over_keys();
  JournalWayBack::resume();
}

std::string PostgresWayBack::prove(std::uint64_t sequence) {
  JournalReader journal(capture_.journal_path());
  const auto there =
      look_([&](postgres::Connection& legacy) { return followed(legacy, settings_.pipeline); });
  if (!there) return "the legacy database does not say how far it has followed";
  if (there->incarnation != journal.incarnation() || there->sequence < sequence ||
      there->digest != journal.digest_at(there->sequence).value_or(""))
    return fmt::format("the legacy database is at position {} of the way back, not at {}", there->sequence,
                       sequence);
  hand_over_ids();
  hand_over_keys();
  return "";
}

}  // namespace tidegate::cutover
