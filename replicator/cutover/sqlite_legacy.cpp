// A legacy SQLite file: held by BEGIN IMMEDIATE, fenced by triggers in the file (capture/sqlite/fence.hpp).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "apply/postgres/target_tables.hpp"
#include "capture/sqlite/fence.hpp"
#include "capture/sqlite/narrowing/wal_file.hpp"
#include "capture/sqlite/users_of_file.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/legacy.hpp"
#include "replicator/cutover/parts.hpp"
#include "replicator/cutover/writers_seen.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/sequence_ends.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using Level = Finding::Level;

constexpr auto settle_time = 30s;  // for the write lock, against a busy application
constexpr std::chrono::milliseconds look_timeout{1000}, long_look_timeout{5000};
constexpr int most_looks = 100;  // at an index that a writer is changing

Finding blocked(const char* code, std::string message, std::string mend) {
  return {Level::block, code, "", "", std::move(message), std::move(mend)};
}

std::string shown(const capture::FileUser& user) {
  return fmt::format("{} (pid {})", user.program, user.pid);
}

class SqliteLegacy : public Legacy {
 public:
  explicit SqliteLegacy(const Settings& settings) : settings_(settings) {}

  Says says(bool intended) override {
    if (intended) capture::settle_fence(path(), settle_time);
    auto live = look(long_look_timeout);
    const auto run = capture::fenced_by(live);
    return run ? Says{false, *run} : Says{true, capture::opened_by(live)};
  }

  std::vector<Finding> examine(const Parts& parts, const Order& order) override {
    std::vector<Finding> findings;
    auto live = look(look_timeout);
    if (live.text("PRAGMA journal_mode") != "wal")
      findings.push_back(
          blocked("cutover-needs-wal",
                  "the source is not in WAL mode: what reads it would keep the fence from being committed",
                  "start tidegate with --allow-wal"));
    if (auto run = capture::fenced_by(live))
      findings.push_back(blocked("half-done",
                                 "the source is fenced by run " + *run + ", and no cutover says so",
                                 "change nothing; `tidegate explain half-done` says how to find out which "
                                 "side has the newest rows"));
    writers(parts, order, findings);
    sequences(findings);
    for (const auto& user : users(0))
      findings.push_back({Level::note, "source-open-by", "", "", user + " has the source open",
                          "after the cutover it must use the target"});
    return findings;
  }

  std::optional<std::uint32_t> commits() override {
    if (settings_.source.writers == Writers::waits) return std::nullopt;
    auto live = look(look_timeout);
    if (live.text("PRAGMA journal_mode") != "wal") return std::nullopt;
    live.integer("SELECT count(*) FROM main.sqlite_schema");  // the WAL's index is there from now on
    for (int tries = 0; tries < most_looks; ++tries)
      if (const auto position = sqlite_wal::published_position(live.wal_index_header()))
        return position->change;
    return std::nullopt;
  }
  std::vector<std::string> in_transaction() override {
    std::vector<std::string> users;
    if (settings_.source.writers == Writers::waits) return users;
    for (const auto& user : capture::in_transaction(path())) users.push_back(shown(user));
    return users;
  }

  void prepare(Parts&) override {}
  Hold::Options what_to_hold() override {
    Hold::Options options;
    options.where = path();
    return options;
  }
  bool has_shadow() const override { return true; }
  void require_same_schema() override {}  // the cut within the hold compares it

  void hand_over_ids(SourceView& view, const TargetScene& scene) override {
    const auto given = given_out();
    std::vector<SourceTable> sources;
    std::vector<TablePlan> plans;
    for (auto& table : view.tables()) {
      auto plan = scene.plans.find(table.name);
      if (plan == scene.plans.end()) continue;
      if (auto found = given.find(table.name); found != given.end()) table.last_sequence = found->second;
      sources.push_back(std::move(table));
      plans.push_back(plan->second);
    }
    scene.tables.set_sequences(sources, plans);
    std::vector<TablePlan> mapped;
    for (const auto& [name, plan] : scene.plans)
      if (!plan.from.empty()) mapped.push_back(plan);
    scene.tables.set_mapped_sequences(mapped);
  }

  std::string fence_sql(const Run& run) override {
    auto live = look(0ms);
    return capture::fence_sql(live, run.id);
  }
  void open(const std::string& run) override { capture::open_legacy(path(), run, settle_time); }

  std::vector<std::string> unfenced() override {
    auto live = look(look_timeout);
    return capture::unfenced_tables(live);
  }
  // SQLite cannot say how often it refused a write; it can be seen who still has the file open.
  std::vector<std::string> users(long without_pid) override {
    std::vector<std::string> users;
    for (const auto& user : capture::users_of_file(path()))
      if (user.pid != without_pid) users.push_back(shown(user));
    return users;
  }

  // Tables that were made past the fence get one, and triggers that somebody dropped come back. What was
  // written meanwhile has been reported.
  void mend_fence(const std::string& run) override {
    sqlite::Database live(path(), sqlite::Database::Mode::read_write, long_look_timeout);
    live.set_triggers_enabled(false);
    const auto open = capture::unfenced_tables(live);
    if (open.empty() || capture::fenced_by(live) != run) return;
    log_warn("the fence of the old database is mended: {}", fmt::join(open, ", "));
    sqlite::Transaction transaction(live, sqlite::Transaction::Kind::immediate);
    live.execute(capture::fence_sql(live, run));
    transaction.commit();
  }

  void clean(const std::string& journal_mode, const std::function<void(const std::string&)>& said) override {
    sqlite::Database live(path(), sqlite::Database::Mode::read_write, long_look_timeout);
    live.execute("PRAGMA synchronous = FULL");
    {
      sqlite::Transaction transaction(live, sqlite::Transaction::Kind::immediate);
      live.execute(capture::unfence_sql(live));
      failpoint("finalize-before-legacy-commit");
      transaction.commit();
    }
    failpoint("finalize-legacy-clean");
    if (live.text("PRAGMA journal_mode = " + journal_mode) != journal_mode)
      throw Coded<Refused>("journal-mode-not-restored",
                           "the legacy database could not go back to journal mode " + journal_mode +
                               ": another program has it open",
                           "end that program, and give the command again");
    said("the legacy database has no fence any more, and its journal mode is " + journal_mode +
         " as it was found");
  }

 private:
  const std::string& path() const { return settings_.source.end.path; }
  sqlite::Database look(std::chrono::milliseconds timeout) const {
    sqlite::Database live(path(), sqlite::Database::Mode::read_write, timeout);
    live.execute("PRAGMA query_only = ON");
    return live;
  }

  // What AUTOINCREMENT has given out, as of now: deleted rows count.
  std::map<std::string, std::int64_t> given_out() const {
    auto live = look(0ms);
    std::map<std::string, std::int64_t> highest;
    if (live.integer("SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_sequence'") == 0)
      return highest;
    auto rows = live.prepare("SELECT name, seq FROM main.sqlite_sequence");
    while (rows.step()) highest[rows.text(0)] = rows.integer(1);
    return highest;
  }

  // After the cutover the target gives out the ids. Whether it answers at all is asked by others.
  void sequences(std::vector<Finding>& findings) const {
    try {
      auto target = connect_target(connect_options(settings_, "tidegate look"));
      for (auto& finding : own_sequence_findings(target, recorded_plans(target, settings_.pipeline)))
        findings.push_back(std::move(finding));
    } catch (const Error& error) {
      log_debug("looking at the target's sequences: {}", error.what());
    }
  }

  // Transactions that read first and write later fail at once when they meet any lock, whatever their
  // timeout.
  void writers(const Parts& parts, const Order& order, std::vector<Finding>& findings) const {
    const auto& source = settings_.source;
    if (order.max_hold * 2 > source.busy_timeout)
      findings.push_back(blocked(
          "max-hold-too-long",
          fmt::format("max-hold is {} ms, and the application's writers wait for {} ms only",
                      order.max_hold.count(), source.busy_timeout.count()),
          "give a --max-hold of less than half of the application's busy timeout ([source] busy_timeout)"));
    if (source.writers == Writers::waits || parts.hooks.has("on-hold")) return;
    const bool accepted = order.accept_failed_writes;
    const auto rehearsed = remembered(parts.store);
    findings.push_back(blocked(
        "hold-fails-writers",
        "the application's transactions may read first and write later ([source] writers): those that do so "
        "during the hold would fail, not wait" +
            (rehearsed ? "; " + *rehearsed : ""),
        "let requests wait in a proxy by a hook on-hold, or set writers = \"waits\" if they take the write "
        "lock at once, or accept it with --accept-failed-writes after a rehearsal"));
    if (accepted) findings.back().level = Level::warn;
    if (accepted && !rehearsed && order.mode == Mode::cutover)
      findings.push_back(
          blocked("rehearsal-wanted",
                  "failed writes are accepted, and no rehearsal of the last day says what a hold costs",
                  "tidegate cutover --rehearse --accept-failed-writes"));
  }

  const Settings& settings_;
};

}  // namespace

std::unique_ptr<Legacy> make_sqlite_legacy(const Settings& settings) {
  return std::make_unique<SqliteLegacy>(settings);
}

}  // namespace tidegate::cutover
