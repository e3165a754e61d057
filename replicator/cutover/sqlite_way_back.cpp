#include "replicator/cutover/sqlite_way_back.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "apply/postgres/target_tables.hpp"
#include "capture/sqlite/catalog.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/mapped_way_back.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/applier.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using Level = Finding::Level;

// About 20 ms of the legacy file's write lock.
constexpr BatchLimits limits{2000, 4 << 20};
constexpr auto longest_idle = 200ms, pulse_interval = 1000ms, trial_time = 5000ms;
constexpr auto first_pause = 100ms, longest_pause = 5000ms;
constexpr std::chrono::milliseconds look_timeout{1000};
constexpr std::size_t most_named = 5;  // tables in one sentence

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

std::string start_text(const Position& start) {
  return fmt::format("{} {} {}", start.incarnation, start.sequence, start.digest);
}

Position parse_start(const std::string& text) {
  Position start;
  const std::size_t first = text.find(' '), second = text.find(' ', first + 1);
  if (first != text.npos && second != text.npos) {
    start.incarnation = text.substr(0, first);
    start.digest = text.substr(second + 1);
    const auto read = std::from_chars(text.data() + first + 1, text.data() + second, start.sequence);
    if (read.ec == std::errc() && read.ptr == text.data() + second) return start;
  }
  throw Error("the journalled start of the way back cannot be read: " + text, "", Advice::stop);
}

SqliteWayBack::SqliteWayBack(const Settings& settings, const std::string& journal_path,
                             std::shared_ptr<KeyMemory> keys)
    : settings_(settings), keys_(std::move(keys)), capture_(settings, journal_path) {}

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
  capture_.make({names.begin(), names.end()}, stop);
  if (!stop.stop_requested()) capture_.start();
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
  if (findings.empty()) find_foreign_writers(findings);
  find_legacy_trouble(findings);
  return findings;
}

void SqliteWayBack::find_stream_trouble(std::vector<Finding>& findings) {
  std::string why = "no marker came through it in time";
  try {
    if (capture_.wait_for(capture_.mark(), Clock::now() + trial_time, {})) return;
    if (auto trouble = capture_.state().trouble; !trouble.empty()) why = trouble;
  } catch (const Error& error) {
    why = error.what();
  }
  findings.push_back(
      blocked("way-back-not-streaming", "the stream from the target back is not there: " + why,
              "see `tidegate status`; what it waits for is in the target's pg_replication_slots"));
}

// All that is journalled before the point of no return was written by others, but for what an earlier way
// back has brought into the legacy file.
void SqliteWayBack::find_foreign_writers(std::vector<Finding>& findings) const {
  JournalReader journal(capture_.journal_path());
  auto legacy = look_at_legacy();
  const auto known = position_in(legacy);
  const std::uint64_t from = std::max(journal.first() - 1, known ? known->sequence : 0);
  std::set<std::string> tables;
  for (auto entry = journal.next(from); entry; entry = journal.next(entry->sequence)) {
    for (const Relation& relation : entry->part.relations) tables.insert(relation.table);
    if (tables.size() > most_named) break;
  }
  if (tables.empty()) return;
  std::string named;
  for (const auto& table : tables) named += (named.empty() ? "" : ", ") + table;
  findings.push_back(blocked("foreign-writer",
                             "somebody else than tidegate has written to the target: " + named,
                             "find who it is and stop it, let `tidegate verify` say what differs and mend "
                             "that with `tidegate repair`"));
}

// Where a lock would make the application's transactions fail, the canary does not take one.
void SqliteWayBack::find_legacy_trouble(std::vector<Finding>& findings) const {
  const std::string& path = settings_.source.end.path;
  try {
    LegacyFile file(path, settings_.pipeline);
    const Tables all = look_at_tables(file.database());
    const ReverseTables tables = reverse_tables(file.database(), all, &findings);
    for (Finding& finding : MappedWayBack(settings_, all.plans, all.sources, all.followed).findings())
      findings.push_back(std::move(finding));
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

std::string SqliteWayBack::record_start(Clock::time_point until) {
  const auto sequence = capture_.wait_for(capture_.mark(), until, {});
  if (!sequence) throw Error("the stream from the target back did not answer in time", "", Advice::retry);
  JournalReader journal(capture_.journal_path());
  return start_text({journal.incarnation(), *sequence, journal.digest_at(*sequence).value_or("")});
}

void SqliteWayBack::applied(std::uint64_t sequence) {
  capture_.applied(sequence);
  std::lock_guard lock(mutex_);
  applied_ = sequence;
  moved_.notify_all();
}

// A marker a second, so that the lag is known though nobody writes.
void SqliteWayBack::pulse(const std::stop_token& stop) {
  std::mutex alone;
  std::condition_variable_any never;
  while (!stop.stop_requested()) {
    try {
      capture_.mark();
    } catch (const Error& error) {
      log_debug("way back: {}", error.what());
    }
    std::unique_lock lock(alone);
    never.wait_for(lock, stop, pulse_interval, [] { return false; });
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
  hand_over_keys();
  const Tables all = look_at_tables(file.database());
  const ReverseTables tables = reverse_tables(file.database(), all, nullptr);
  const MappedWayBack mapped(settings_, all.plans, all.sources, all.followed);
  for (const Finding& finding : mapped.findings())
    if (finding.level == Level::block) throw refusal(finding);
  const auto running = mapped.start(file, capture_.journal_path());
  SqliteSink sink(file, tables, MappedWayBack::rows_of(running));
  Applier applier(journal, sink, {}, limits, [](const SchemaChange&, std::uint64_t) {});
  applied(file.position().sequence);
  {
    std::lock_guard lock(mutex_);
    running_ = true;
  }
  while (!stop.stop_requested()) {
    capture_.rethrow();
    BatchOutcome outcome;
    const auto rejects = file.rejects();
    const bool moved = applier.step(outcome);
    if (moved || outcome.changes > 0) log_debug("way back: {} changes", outcome.changes);
    if (file.rejects() > rejects)
      log_warn("way back: {} rows do not fit into the legacy file", file.rejects());
    applied(file.position().sequence);
    if (!moved) capture_.wait_for_work(file.position().sequence, longest_idle, stop);
  }
}

void SqliteWayBack::run(const std::string& text, std::stop_token stop) {
  const Position start = parse_start(text);
  capture_.start();
  std::jthread pulsing([this](const std::stop_token& own) { pulse(own); });
  auto pause = std::chrono::milliseconds(first_pause);
  while (!stop.stop_requested()) {
    try {
      work(start, stop);
    } catch (const Error& error) {
      const bool passes = error.advice() != Advice::stop || error.code() == "SQLITE_FULL" ||
                          error.code() == "SQLITE_CANTOPEN";
      if (!passes) throw;
      log_warn("way back: {}", error.what());
      std::unique_lock lock(mutex_);
      moved_.wait_for(lock, stop, pause, [] { return false; });
      pause = std::min(pause * 2, std::chrono::milliseconds(longest_pause));
    }
  }
}

Lag SqliteWayBack::lag() {
  std::uint64_t from = 0;
  {
    std::lock_guard lock(mutex_);
    if (!running_) return {};
    from = applied_;
  }
  const auto state = capture_.state();
  Lag lag;
  lag.seconds = state.lag_seconds;
  const auto backlog = JournalReader(capture_.journal_path()).backlog_after(from);
  lag.bytes = state.bytes_behind + backlog.bytes;
  lag.transactions = backlog.transactions;
  return lag;
}

std::optional<std::uint64_t> SqliteWayBack::caught_up(Clock::time_point until, std::stop_token stop) {
  const auto sequence = capture_.wait_for(capture_.mark(), until, stop);
  std::unique_lock lock(mutex_);
  if (!sequence || !moved_.wait_until(lock, stop, until, [&] { return applied_ >= *sequence; }))
    return std::nullopt;
  return sequence;
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
  if (std::filesystem::exists(capture_.journal_path())) capture_.start();
}

}  // namespace tidegate::cutover
