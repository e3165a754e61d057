#include "replicator/cutover/guard.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "apply/postgres/target_fence.hpp"
#include "replicator/backup/folder.hpp"
#include "replicator/config/units.hpp"
#include "replicator/failure.hpp"
#include "replicator/verify/store.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto target_time = 10s;  // for a look at the target that changes nothing
constexpr auto between_round_trips = 200ms;
constexpr int least_round_trips = 3;
constexpr auto verify_age = 1h;

// ISO 8601 in UTC, to compare with what was noted.
std::string time_ago(milliseconds age) {
  return fmt::format(
      "{:%Y-%m-%dT%H:%M:%S}",
      fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() - age)));
}

class Guard {
 public:
  Guard(Parts& parts, const Order& order) : parts_(parts), order_(order) {}

  std::vector<Finding> run(milliseconds calm, std::stop_token stop) {
    source();
    for (auto& finding : hook_findings(parts_, order_, "forward")) findings_.push_back(std::move(finding));
    if (pipeline()) {
      verification();
      backup();
      target();
      lag(calm, stop);
      way_back(stop);
    }
    return std::move(findings_);
  }

 private:
  void find(Finding::Level level, const char* code, std::string message, std::string mend) {
    findings_.push_back({level, code, "", "", std::move(message), std::move(mend)});
  }
  void block(const char* code, std::string message, std::string mend) {
    find(Finding::Level::block, code, std::move(message), std::move(mend));
  }

  void source() {
    for (auto& finding : parts_.legacy.examine(parts_, order_)) findings_.push_back(std::move(finding));
  }

  // False: there is no stream that the rest could be asked of.
  bool pipeline() {
    const Status status = parts_.coordination.status();
    if (!parts_.coordination.is_streaming()) {
      block("not-streaming", "the pipeline is in phase " + status.phase,
            "wait until `tidegate status` says streaming");
      return false;
    }
    if (parts_.coordination.paused()) {
      block("cutover-paused", "the pipeline is paused", "tidegate resume");
      return false;
    }
    if (parts_.coordination.throttle())
      block("cutover-throttled", "the pipeline is throttled", "tidegate throttle off");
    for (const auto& table : status.tables) {
      if (table.left_out || table.state == "resync" || table.state == "stopped")
        block("cutover-table-behind",
              fmt::format("table {} is not in step with the others: it is {}", table.source,
                          table.state == "stopped" ? "stopped" : "being copied again"),
              "let its copy end (`tidegate status`), or begin one: tidegate resync " + table.source);
    }
    for (const auto& error : status.errors) {
      if (error.code == "capture" || error.code == "target")
        block("cutover-in-trouble", "the pipeline is in trouble: " + error.message, "mend that first");
      if (error.code == "object-not-built")
        find(Finding::Level::warn, "object-not-built", error.message, "build it on the target by hand");
    }
    return true;
  }

  // A rehearsal changes nothing, so it is only told.
  void verification() {
    verify::Store store((std::filesystem::path(parts_.state_path).parent_path() / "control.db").string());
    const auto report = store.report(0);
    const auto level = order_.mode == Mode::rehearse ? Finding::Level::warn : Finding::Level::block;
    if (report && report->run.state == "running")
      return block("verify-running", "a verify is under way, which makes the apply thread wait at times",
                   "let it end, or: tidegate verify stop");
    const auto& request = report ? report->run.request : verify::Request{};
    const bool is_whole = request.tables.empty() && !request.sample && !request.counts;
    if (!report || !is_whole || report->run.state != "completed" ||
        report->run.ended_at < time_ago(verify_age))
      return find(level, "verify-not-fresh", "no verify of all tables has come through within the last hour",
                  "tidegate verify");
    if (const auto moved = live_side_changed_at(); moved && report->run.started_at < *moved)
      return find(level, "verify-not-fresh",
                  "no verify of all tables has come through since the last rollback", "tidegate verify");
    if (!report->is_equal())
      block("verify-differs", "the last verify found differences",
            "`tidegate verify status` names them; mend them first");
  }

  // It is the legacy database that a rollback brings back; what only the target has is in its backup.
  void backup() {
    const auto longest = parts_.settings.cutover.backup_max_age;
    if (longest.count() == 0) return;
    const auto newest = backup::newest(std::filesystem::path(parts_.state_path).parent_path(), "target");
    if (newest && newest->taken_at >= time_ago(longest)) return;
    find(order_.mode == Mode::rehearse ? Finding::Level::warn : Finding::Level::block, "backup-not-fresh",
         fmt::format("there is no backup of the target that is not older than {}", exact_duration(longest)),
         "tidegate backup create; or set [cutover] backup_max_age = \"0s\" if others take backups");
  }

  // As the report spells it.
  std::optional<std::string> live_side_changed_at() {
    const auto settled = parts_.journal.settled();
    if (!settled) return std::nullopt;
    const auto at = parts_.journal.steps(settled->id).back().at_us / 1'000'000;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(at)));
  }

  struct Seen {
    Unfenced unfenced;
    bool replica_mode = true;
    std::int64_t held = 0, accepted = 0;
  };

  void target() {
    auto seen = std::make_shared<Seen>();
    try {
      bool there = on_target(
          parts_,
          [seen](SourceView&, const TargetScene& scene) {
            std::vector<TablePlan> plans;
            for (const auto& [name, plan] : scene.plans) plans.push_back(plan);
            seen->replica_mode = scene.session.replica_mode();
            seen->unfenced = unfenced_targets(scene.session.connection(), plans);
            auto counts = scene.session.connection().run(
                "SELECT count(*) FILTER (WHERE state = 'held'), count(*) FILTER (WHERE state = 'accepted') "
                "FROM "
                "tidegate.quarantine WHERE pipeline = $1",
                {scene.session.pipeline()});
            seen->held = counts.integer(0, 0);
            seen->accepted = counts.integer(0, 1);
          },
          Clock::now() + target_time);
      if (!there)
        return block("target-unreachable", "the target did not answer in time", "look at `tidegate status`");
    } catch (const Error& failure) {
      return block("target-unreachable", failure.what(), "look at `tidegate status`");
    }
    if (seen->held > 0)
      block("quarantine-not-empty", fmt::format("{} rows are in the quarantine", seen->held),
            "`tidegate quarantine list`; mend and retry them, or accept that they stay out");
    if (seen->accepted > 0)
      find(Finding::Level::note, "quarantine-accepted",
           fmt::format("{} rows were left out on purpose", seen->accepted), "");
    const bool could = seen->replica_mode;
    if (!seen->unfenced.ours.empty())
      find(could ? Finding::Level::block : Finding::Level::warn, "target-not-fenced",
           fmt::format("others can write to the target's tables {} before the cutover",
                       fmt::join(seen->unfenced.ours, ", ")),
           could ? "restart tidegate, which fences them"
                 : "see to it that nobody does; with a role that may set session_replication_role tidegate "
                   "fences them");
    if (!seen->unfenced.of_others.empty())
      find(Finding::Level::warn, "target-not-fenced",
           fmt::format(
               "others can write to the target's tables {} before the cutover: they are another role's",
               fmt::join(seen->unfenced.of_others, ", ")),
           "see to it that nobody does");
  }

  // By a nonce's round trip on one clock; all of them must be quick.
  void lag(milliseconds calm, std::stop_token stop) {
    const auto until = Clock::now() + calm;
    std::chrono::microseconds longest{0};
    for (int n = 0; n < least_round_trips || (Clock::now() < until && !stop.stop_requested()); ++n) {
      auto trip = round_trip(parts_.coordination, false, Clock::now() + order_.max_lag + 1s);
      longest = std::max(longest, trip ? trip->took : order_.max_lag + 1s);
      if (longest > order_.max_lag)
        return block("cutover-lag",
                     fmt::format("what is committed took {:.0f} ms to the target, more than max-lag ({} ms)",
                                 static_cast<double>(longest.count()) / 1000, order_.max_lag.count()),
                     "wait for a quieter time, or raise --max-lag and with it what the hold has to drain");
      if (n + 1 >= least_round_trips) std::this_thread::sleep_for(between_round_trips);
    }
    find(Finding::Level::note, "lag",
         fmt::format("what is committed took at most {:.0f} ms to the target",
                     static_cast<double>(longest.count()) / 1000),
         "");
  }

  void way_back(std::stop_token stop) {
    if (order_.no_way_back)
      return find(Finding::Level::warn, "no-way-back",
                  "the way back is given up: a rollback loses all that is written after the cutover", "");
    try {
      parts_.way_back.prepare(stop);
      for (auto& finding : parts_.way_back.ready()) findings_.push_back(std::move(finding));
    } catch (const std::exception& failure) {
      Told what = told(failure);
      block("way-back-failed", "the way back could not be made ready: " + what.message, what.mend);
    }
  }

  Parts& parts_;
  const Order& order_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> examine(Parts& parts, const Order& order, milliseconds calm, std::stop_token stop) {
  return Guard(parts, order).run(calm, stop);
}

std::vector<Finding> hook_findings(const Parts& parts, const Order& order, const char* direction) {
  auto found = parts.hooks.examine();
  if (blocks(found)) return found;
  for (auto& planned : parts.hooks.plan(direction)) found.push_back(std::move(planned));
  std::string trouble;
  HookFacts facts{direction,
                  "",
                  std::string(name_of(Step::guard)),
                  order.by,
                  order.reason,
                  masked(parts.settings.source.end),
                  masked(parts.settings.target.end),
                  0,
                  0};
  if (!parts.hooks.run("check", facts, trouble))
    found.push_back({Finding::Level::block, "hook-check-failed", "", "", trouble,
                     "its output is in the audit; run it by hand"});
  return found;
}

bool blocks(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.level == Finding::Level::block; });
}

}  // namespace tidegate::cutover
