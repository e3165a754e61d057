#include "replicator/cutover/sqlite_way_back.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "apply/mapping/back/condition_check.hpp"
#include "apply/postgres/target_tables.hpp"
#include "capture/sqlite/catalog.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/mapped_way_back.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/applier.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using Level = Finding::Level;

constexpr std::chrono::milliseconds look_timeout{1000};

Finding blocked(std::string code, std::string message, std::string mend) {
  return {Level::block, std::move(code), "", "", std::move(message), std::move(mend)};
}

std::string target_name(const TablePlan& plan) {
  return plan.schema + "." + plan.target;
}

Refused refusal(const Finding& finding) {
  return Refused(finding.code, finding.message, finding.mend);
}

// In a transaction that is rolled back: the file takes our writes, past whatever stands in their way.
void try_to_write(LegacyFile& file, const ReverseTables& tables) {
  sqlite::Transaction canary(file.database(), sqlite::Transaction::Kind::immediate);
  for (const auto& [name, table] : tables) {
    const auto column = std::find_if(table.columns.begin(), table.columns.end(),
                                     [](const ReverseColumn& each) { return !each.is_rowid; });
    if (column == table.columns.end()) continue;
    const std::string quoted = sqlite::quoted(column->forward.source), of = sqlite::quoted(table.legacy);
    file.database().execute("UPDATE " + of + " SET " + quoted + " = " + quoted + " WHERE " + quoted +
                            " IN (SELECT " + quoted + " FROM " + of + " LIMIT 1)");
  }
}

}  // namespace

SqliteWayBack::SqliteWayBack(const Settings& settings, const std::string& journal_path,
                             std::shared_ptr<KeyMemory> keys)
    : JournalWayBack(settings, journal_path), keys_(std::move(keys)) {}

sqlite::Database SqliteWayBack::look_at_legacy() const {
  sqlite::Database legacy(settings_.source.end.path, sqlite::Database::Mode::read_write, look_timeout);
  legacy.execute("PRAGMA query_only = ON");
  return legacy;
}

// A connection that fails is an Error, which run() outlives.
std::vector<TablePlan> SqliteWayBack::plans() const {
  postgres::Connection target(connect_options(settings_, "tidegate way back"));
  return recorded_plans(target, settings_.pipeline);
}

SqliteWayBack::Tables SqliteWayBack::look_at_tables(sqlite::Database& legacy) const {
  postgres::Connection target(connect_options(settings_, "tidegate way back"));
  Tables tables;
  tables.plans = recorded_plans(target, settings_.pipeline);
  tables.followed = followed_tables(target, tables.plans);
  tables.sources = capture::read_catalog(legacy, settings_.tables.include, settings_.tables.exclude);
  return tables;
}

// A mapping may fill tables of others, which cannot be published; all others must be.
void SqliteWayBack::prepare(std::stop_token stop) {
  postgres::Connection target(connect_options(settings_, "tidegate way back"));
  std::set<std::string> names;
  const auto recorded = recorded_plans(target, settings_.pipeline);
  const auto followed = followed_tables(target, recorded);
  for (const TablePlan& plan : recorded)
    if (plan.from.empty() || followed.contains(target_name(plan))) names.insert(target_name(plan));
  make_stream({names.begin(), names.end()}, stop);
}

ReverseTables SqliteWayBack::reverse_tables(sqlite::Database& legacy, const Tables& all,
                                            std::vector<Finding>* findings) {
  ReverseTables tables;
  for (const TablePlan& plan : all.plans) {
    if (!plan.from.empty()) continue;
    const auto source = std::find_if(all.sources.begin(), all.sources.end(),
                                     [&](const SourceTable& table) { return table.name == plan.source; });
    if (source == all.sources.end()) {
      throw Refused("way-back-schema-changed", "the legacy file has no table " + plan.source + " any more",
                    "restore the table");
    }
    auto planned = plan_back(plan, *source);
    if (findings) findings->insert(findings->end(), planned.findings.begin(), planned.findings.end());
    if (!findings && !planned.findings.empty()) throw refusal(planned.findings.front());
    learn_forms(legacy, planned.table);
    tables.emplace(target_name(plan), std::move(planned.table));
  }
  return tables;
}

std::vector<Finding> SqliteWayBack::ready() {
  std::vector<Finding> findings;
  find_stream_trouble(findings);
  if (findings.empty()) {
    auto legacy = look_at_legacy();
    find_foreign_writers(known_by(position_in(legacy)), findings);
  }
  find_legacy_trouble(findings);
  return findings;
}

// Where a lock would make the application's transactions fail, the canary does not take one.
void SqliteWayBack::find_legacy_trouble(std::vector<Finding>& findings) const {
  const std::string& path = settings_.source.end.path;
  try {
    LegacyFile file(path, settings_.pipeline);
    const Tables all = look_at_tables(file.database());
    const ReverseTables tables = reverse_tables(file.database(), all, &findings);
    for (Finding& finding : mapped_findings(all)) findings.push_back(std::move(finding));
    if (settings_.source.writers == Writers::waits) {
      try_to_write(file, tables);
    } else if (access(path.c_str(), W_OK) != 0) {
      throw Error("write to " + path + ": " + std::system_category().message(errno), "", Advice::stop);
    }
  } catch (const std::exception& failure) {
    findings.push_back(
        blocked("legacy-not-writable",
                std::string("the legacy file does not take what comes back: ") + failure.what(),
                "see that tidegate's user may write to the file and its folder"));
  }
}

std::vector<Finding> SqliteWayBack::mapped_findings(const Tables& all) const {
  auto findings = MappedWayBack(settings_, all.plans, all.sources, all.followed).findings();
  postgres::Connection target(connect_options(settings_, "tidegate way back"));
  for (Finding& finding : condition_findings(target, maps_of(settings_)))
    findings.push_back(std::move(finding));
  return findings;
}

// After a rollback the slot may have been lost, and another journal begun.
std::string SqliteWayBack::record_start(Clock::time_point until) {
  const std::string start = JournalWayBack::record_start(until);
  auto legacy = look_at_legacy();
  const auto there = position_in(legacy);
  const bool of_another = there && there->incarnation != parse_start(start).incarnation;
  return of_another ? with_replaced(start, there->incarnation) : start;
}

void SqliteWayBack::begin(LegacyFile& file, const Position& start) const {
  const auto there = position_in(file.database());
  const bool is_replaced = there && there->incarnation == replaces_;
  is_replaced ? file.begin_anew(start) : file.begin(start);
}

void SqliteWayBack::work(const Position& start, const std::stop_token& stop) {
  LegacyFile file(settings_.source.end.path, settings_.pipeline);
  JournalReader journal(capture_.journal_path());
  begin(file, start);
  if (journal.digest_at(file.position().sequence) != file.position().digest) {
    throw Refused(
        "way-back-not-in-history",
        fmt::format("the legacy file is at position {} of a way back that this state directory does "
                    "not have: one of them was restored or swapped",
                    file.position().sequence),
        "restore the state directory that belongs to it");
  }
  hand_over_keys();
  const Tables all = look_at_tables(file.database());
  const ReverseTables tables = reverse_tables(file.database(), all, nullptr);
  const MappedWayBack mapped(settings_, all.plans, all.sources, all.followed);
  for (const Finding& finding : mapped.findings())
    if (finding.level == Level::block) throw refusal(finding);
  SqliteSide side(file);
  const auto running = mapped.start(side, capture_.journal_path(), file.position().sequence);
  SqliteSink sink(file, tables, MappedWayBack::rows_of(running), &side);
  Applier applier(journal, sink, {}, batches_back, [](const SchemaChange&, std::uint64_t) {});
  follow(
      applier, sink, [&file] { return file.rejects(); }, stop);
}

void SqliteWayBack::remove() {
  capture_.remove();
  LegacyFile file(settings_.source.end.path, settings_.pipeline);
  sqlite::Transaction transaction(file.database(), sqlite::Transaction::Kind::immediate);
  drop_legacy_tables(file.database());
  failpoint("back-before-removed");
  transaction.commit();
}

void SqliteWayBack::resume() {
  hand_over_keys();
  JournalWayBack::resume();
}

}  // namespace tidegate::cutover
