#include "replicator/cutover/finalize.hpp"

#include <fmt/format.h>

#include "apply/postgres/target_cleaning.hpp"
#include "apply/postgres/target_fence.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "db/sqlite.hpp"
#include "replicator/backup/folder.hpp"
#include "replicator/control/status.hpp"
#include "replicator/control/store.hpp"
#include "replicator/cutover/legacy.hpp"
#include "replicator/cutover/postgres_way_back.hpp"
#include "replicator/cutover/reverse_capture.hpp"
#include "replicator/cutover/run_journal.hpp"
#include "replicator/cutover/sqlite_way_back.hpp"
#include "replicator/failure.hpp"
#include "replicator/server_access.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;

constexpr const char *begun_fact = "finalize", *mode_fact = "source_journal_mode";
constexpr auto file_timeout = 5000ms;

class End {
 public:
  End(const Settings& settings, LegacyIs legacy_is)
      : settings_(settings),
        gone_(legacy_is == LegacyIs::gone),
        store_((settings.state_dir / "control.db").string()),
        legacy_(make_legacy(settings)) {}

  bool has_begun() { return store_.fact(begun_fact).has_value(); }

  std::vector<Finding> examine() {
    if (has_begun()) {
      find(Finding::Level::note, "finalize-begun", "it was begun before, and goes on where it ended", "");
    } else {
      sides();
    }
    gone_ ? require_gone() : legacy_users();
    find(Finding::Level::note, "finalize-will",
         "the way back ends; slot, publication, fences, hidden columns and the schema tidegate go; row data "
         "in "
         "the state directory is deleted; there is no rollback after it",
         "");
    if (!backups_left().empty()) find(Finding::Level::note, "finalize-keeps-backups", backups_left(), "");
    return std::move(findings_);
  }

  void run(const std::string& by, const std::string& reason, const Said& said) {
    auto target = connect_target(connect_options(settings_, "tidegate finalize"));
    export_account(target, said);
    begin(by, reason);
    remove_way_back();
    said(gone_ ? "the way back's slot and publication are gone"
               : "the way back's slot, publication and tables are gone");
    failpoint("finalize-way-back-gone");
    clean_target(target, settings_.pipeline);
    said("the target has nothing of tidegate any more");
    failpoint("finalize-target-clean");
    if (gone_)
      said(not_cleaned());
    else
      legacy_->clean(store_.fact(mode_fact).value_or("wal"), said);
    delete_rows();
    said("row data in the state directory is deleted; the audit and migration_checkpoints.json stay");
    failpoint("finalize-rows-deleted");
    if (!backups_left().empty()) said(backups_left());
    finish(by);
  }

 private:
  bool is_server() const { return settings_.source.end.kind == Endpoint::Kind::postgres; }

  void legacy_users() {
    const auto daemon = lock_holder(settings_.state_dir);
    try {
      for (const auto& user : legacy_->users(daemon ? daemon->pid : 0))
        find(Finding::Level::block, "source-open-by",
             user + " has the legacy database open, which takes writes again once its fence is gone",
             "end it, or let it use the target");
    } catch (const std::exception& failure) {
      cannot_be_read(failure);
    }
  }

  void cannot_be_read(const std::exception& failure) {
    if (!findings_.empty() && findings_.back().code == "source-unreachable") return;
    find(Finding::Level::block, "source-unreachable",
         "the legacy database cannot be read: " + told(failure).message,
         "make it reachable; where it is gone for good: tidegate finalize --legacy-gone --confirm NAME");
  }

  // One that only looks gone would keep its fence, and a server its slot.
  void require_gone() {
    try {
      if (is_server() || std::filesystem::exists(settings_.source.end.path)) {
        legacy_->says(false);
        return find(Finding::Level::block, "legacy-is-there",
                    "the legacy database " + masked(settings_.source.end) + " is there",
                    "tidegate finalize without --legacy-gone cleans it too");
      }
    } catch (const std::exception& failure) {
      find(Finding::Level::note, "source-unreachable",
           "the legacy database cannot be read: " + told(failure).message, "");
    }
    find(Finding::Level::warn, "legacy-not-cleaned", not_cleaned(),
         "only where it is gone for good: what it keeps of tidegate must be taken away by hand");
  }

  std::string not_cleaned() const {
    const std::string what =
        is_server() ? fmt::format(
                          "its fence, the slot {} (which keeps its server's log), the publication {} and the "
                          "schema tidegate",
                          slot_name(settings_), publication_name(settings_))
                    : "its fence (triggers and tables _tidegate…) and its journal mode";
    return fmt::format("the legacy database {} is not cleaned: {} stay if it exists anywhere",
                       masked(settings_.source.end), what);
  }

  void remove_way_back() {
    if (gone_) return ReverseCapture(settings_, file("back.db")).remove();
    if (settings_.source.end.kind == Endpoint::Kind::postgres)
      PostgresWayBack(settings_, file("back.db")).remove();
    else
      SqliteWayBack(settings_, file("back.db")).remove();
  }
  std::string file(const char* name) const { return (settings_.state_dir / name).string(); }
  void find(Finding::Level level, const char* code, std::string message, std::string mend) {
    findings_.push_back({level, code, "", "", std::move(message), std::move(mend)});
  }

  // The last copies are not ours to throw away.
  std::string backups_left() const {
    const auto count = backup::backups_in(settings_.state_dir).size();
    if (count == 0) return "";
    return fmt::format("{} backup{} with row data {} in {}: delete what nobody needs any more", count,
                       count == 1 ? "" : "s", count == 1 ? "stays" : "stay", file("backups"));
  }

  // The journal and both databases must say that the target is live.
  void sides() {
    RunJournal journal(file("control.db"));
    const auto last = journal.last(), settled = journal.settled();
    if (!settled || live_after(settled) != Side::target || !is_end(last->step))
      return find(Finding::Level::block, "wrong-phase", "finalize follows a cutover that came through",
                  "`tidegate status` shows the phase and what to do next");
    if (!gone_ && !legacy_says(settled->id)) return;
    auto target = connect_target(connect_options(settings_, "tidegate look"));
    const auto says = ask_target(target, settings_.pipeline);
    if (!says.is_live || says.run != settled->id) half_done();
  }

  bool legacy_says(const std::string& run) {
    try {
      const Says there = legacy_->says(false);
      if (!there.is_live && there.run == run) return true;
      half_done();
    } catch (const std::exception& failure) {
      cannot_be_read(failure);
    }
    return false;
  }

  void half_done() {
    find(Finding::Level::block, "half-done", "the databases do not say what the journal of cutovers says",
         "change nothing; `tidegate explain half-done` says how to find out which side has the newest rows");
  }

  // Until it stands on disk nothing is taken away.
  void export_account(postgres::Connection& target, const Said& said) {
    const auto account = tidegate::export_account(target, settings_.pipeline);
    if (account.empty()) return;  // it was written before
    write_file_atomically(file("migration_checkpoints.json"), account + "\n");
    failpoint("finalize-exported");
    said("exported " + file("migration_checkpoints.json"));
  }

  void begin(const std::string& by, const std::string& reason) {
    if (has_begun()) return;
    store_.audit(gone_ ? "finalize --legacy-gone" : "finalize", by, reason, "");
    store_.set_fact(begun_fact, "begun");
    failpoint("finalize-begun");
  }

  void delete_rows() {
    for (const char* name : {"state.db", "back.db", "keys.db"})
      for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file(name) + suffix);
    for (const char* name : {"spool", "back-spool"}) std::filesystem::remove_all(settings_.state_dir / name);
  }

  void finish(const std::string& by) {
    Status status;
    status.pipeline = settings_.pipeline;
    status.live = "target";
    status.phase = "finalized";
    status.source = masked(settings_.source.end);
    status.target = masked(settings_.target.end);
    status.next_steps = {"nothing: the target is on its own"};
    if (store_.fact(begun_fact) != "done") store_.audit("finalize ended", by, "", "done");
    store_.set_fact("last_status", to_json(status));
    store_.set_fact(begun_fact, "done");
  }

  const Settings& settings_;
  const bool gone_;
  ControlStore store_;
  std::unique_ptr<Legacy> legacy_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> examine_end(const Settings& settings, LegacyIs legacy_is) {
  return End(settings, legacy_is).examine();
}

void finalize(const Settings& settings, LegacyIs legacy_is, const std::string& by, const std::string& reason,
              const Said& said) {
  for (const auto& finding : End(settings, legacy_is).examine())
    if (finding.level == Finding::Level::block)
      throw Coded<Refused>(finding.code, finding.message, finding.mend);
  End(settings, legacy_is).run(by, reason, said);
}

void refuse_finalized(const std::filesystem::path& state_dir) {
  const auto begun = look_at_fact((state_dir / "control.db").string(), begun_fact);
  if (!begun) return;
  throw Coded<Refused>("finalized", "the pipeline was finalized: the target is on its own",
                       *begun == "done" ? "a new migration needs a new state directory (--state DIR)"
                                        : "it was not finished: tidegate finalize --confirm NAME");
}

void remember_journal_mode(const Settings& settings) {
  if (settings.source.end.kind != Endpoint::Kind::sqlite) return;
  ControlStore store((settings.state_dir / "control.db").string());
  if (store.fact(mode_fact)) return;
  sqlite::Database live(settings.source.end.path, sqlite::Database::Mode::read_write, file_timeout);
  live.execute("PRAGMA query_only = ON");
  store.set_fact(mode_fact, live.text("PRAGMA journal_mode"));
}

}  // namespace tidegate::cutover
