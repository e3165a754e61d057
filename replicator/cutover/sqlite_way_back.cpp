#include "replicator/cutover/sqlite_way_back.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "apply/postgres/target_tables.hpp"
#include "capture/sqlite/catalog.hpp"
#include "db/failpoint.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/applier.hpp"
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

void refuse_mapped(const TablePlan& plan) {
  if (plan.from.empty() && !plan.contributor) return;
  throw Refused("way-back-not-reversible",
                "the rows of table " + plan.source_table() + " are mapped to " + shown_name(plan) +
                    ", and mapped rows cannot be brought back yet",
                "--no-way-back goes on without; a rollback then loses all that is written after the cutover");
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

SqliteWayBack::SqliteWayBack(const Settings& settings, const std::string& journal_path)
    : JournalWayBack(settings, journal_path) {}

sqlite::Database SqliteWayBack::look_at_legacy() const {
  sqlite::Database legacy(settings_.source.end.path, sqlite::Database::Mode::read_write, look_timeout);
  legacy.execute("PRAGMA query_only = ON");
  return legacy;
}

// A connection that fails is an Error, which run() outlives.
std::vector<TablePlan> SqliteWayBack::plans() const {
  postgres::Connection target(connect_options(settings_, "tidegate way back"));
  auto plans = recorded_plans(target, settings_.pipeline);
  for (const TablePlan& plan : plans) refuse_mapped(plan);
  return plans;
}

void SqliteWayBack::prepare(std::stop_token stop) {
  std::vector<std::string> names;
  for (const TablePlan& plan : plans()) names.push_back(target_name(plan));
  capture_.make(names, stop);
  if (!stop.stop_requested()) capture_.start();
}

ReverseTables SqliteWayBack::reverse_tables(sqlite::Database& legacy, std::vector<Finding>* findings) const {
  ReverseTables tables;
  const auto sources = capture::read_catalog(legacy, settings_.tables.include, settings_.tables.exclude);
  for (const TablePlan& plan : plans()) {
    const auto source = std::find_if(sources.begin(), sources.end(),
                                     [&](const SourceTable& table) { return table.name == plan.source; });
    if (source == sources.end()) {
      throw Refused("way-back-schema-changed", "the legacy file has no table " + plan.source + " any more",
                    "restore the table");
    }
    auto planned = plan_back(plan, *source);
    if (findings) findings->insert(findings->end(), planned.findings.begin(), planned.findings.end());
    if (!findings && !planned.findings.empty()) {
      const Finding& first = planned.findings.front();
      throw Refused(first.code, first.message, first.mend);
    }
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
    const auto known = position_in(legacy);
    find_foreign_writers(known ? known->sequence : 0, findings);
  }
  find_legacy_trouble(findings);
  return findings;
}

// Where a lock would make the application's transactions fail, the canary does not take one.
void SqliteWayBack::find_legacy_trouble(std::vector<Finding>& findings) const {
  const std::string& path = settings_.source.end.path;
  try {
    LegacyFile file(path, settings_.pipeline);
    const ReverseTables tables = reverse_tables(file.database(), &findings);
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

void SqliteWayBack::work(const Position& start, const std::stop_token& stop) {
  LegacyFile file(settings_.source.end.path, settings_.pipeline);
  JournalReader journal(capture_.journal_path());
  file.begin(start);
  if (journal.digest_at(file.position().sequence) != file.position().digest) {
    throw Refused(
        "way-back-not-in-history",
        fmt::format("the legacy file is at position {} of a way back that this state directory does "
                    "not have: one of them was restored or swapped",
                    file.position().sequence),
        "restore the state directory that belongs to it");
  }
  const ReverseTables tables = reverse_tables(file.database(), nullptr);
  SqliteSink sink(file, tables);
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

}  // namespace tidegate::cutover
