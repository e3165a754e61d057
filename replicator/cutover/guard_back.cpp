#include "replicator/cutover/guard_back.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>

#include "apply/postgres/target_closing.hpp"
#include "apply/postgres/target_tables.hpp"
#include "replicator/cutover/guard.hpp"
#include "replicator/cutover/past_fence.hpp"
#include "replicator/cutover/target_before.hpp"
#include "replicator/failure.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto between_round_trips = 200ms;
constexpr int least_round_trips = 3;
constexpr auto long_transaction = 2s;

class GuardBack {
 public:
  GuardBack(Parts& parts, const Order& order) : parts_(parts), order_(order) {}

  std::vector<Finding> run(milliseconds calm, std::stop_token stop) {
    append(hook_findings(parts_, order_, "backward"));
    legacy();
    target();
    if (way_back()) lag(calm, stop);
    return std::move(findings_);
  }

 private:
  void find(Finding::Level level, const char* code, std::string message, std::string mend) {
    findings_.push_back({level, code, "", "", std::move(message), std::move(mend)});
  }
  void block(const char* code, std::string message, std::string mend) {
    find(Finding::Level::block, code, std::move(message), std::move(mend));
  }
  void append(std::vector<Finding> found) {
    for (auto& finding : found) findings_.push_back(std::move(finding));
  }

  // What got past the fence is known to neither stream.
  void legacy() {
    try {
      const auto open = parts_.legacy.unfenced();
      if (!open.empty())
        block("fence-broken",
              fmt::format("the legacy database's tables {} took writes while the target was live",
                          fmt::join(open, ", ")),
              "see what was written there and bring it to the target by hand, drop tables that are new, and "
              "restart tidegate, which mends the fence");
      for (const auto& one : parts_.legacy.in_the_way_of_opening())
        block("source-held", "a transaction of the source would keep its fence from being taken away: " + one,
              "let it end, or end it: SELECT pg_terminate_backend(PID), ROLLBACK PREPARED");
    } catch (const std::exception& failure) {
      block("source-unreachable", told(failure).message, "look at `tidegate status`");
    }
  }

  void target() {
    try {
      auto target = connect_target(connect_options(parts_.settings, "tidegate look"));
      const auto plans = recorded_plans(target, parts_.settings.pipeline);
      fenceable(target, plans);
      past_fence(target);
      left_behind(target);
      for (const auto& one : in_the_way_of_a_hold(target, plans, long_transaction))
        block("target-held", "a transaction of the target would keep the hold waiting: " + one,
              "let it end, or end it: SELECT pg_terminate_backend(PID)");
    } catch (const std::exception& failure) {
      block("target-unreachable", told(failure).message, "look at `tidegate status`");
    }
  }

  // Such rows are on the legacy database alone. Once it is live they go to the target as any others.
  void past_fence(postgres::Connection& target) {
    auto seen = nothing_past_fence(target, parts_.settings.pipeline);
    look_past_fence(parts_.state_path, seen);
    if (seen.transactions == 0) return;
    find(order_.accept_loss ? Finding::Level::warn : Finding::Level::block, "fence-passed", in_words(seen),
         "look at what was written; --accept-loss goes on, and brings it to the target after the rollback: "
         "verify then, since "
         "it may be older than what the target had in its place");
  }

  // No stream has it, whatever the lag.
  void left_behind(postgres::Connection& target) {
    const auto left = cutover::left_behind(parts_.store, target, parts_.settings.pipeline);
    const auto level = order_.accept_loss || !left.is_known ? Finding::Level::warn : Finding::Level::block;
    const auto what = left.is_known ? in_words(left)
                                    : "what the target had before it became live was not noted: tables and "
                                      "columns that are new there would be left behind";
    if (!what.empty())
      find(level, "way-back-incomplete", what,
           "bring it to safety by hand (pg_dump --table), or drop it; --accept-loss goes back without it");
  }

  void fenceable(postgres::Connection& target, const std::vector<TablePlan>& plans) {
    const auto open = unfenced_targets(target, plans);
    if (!open.of_others.empty())
      find(order_.accept_loss ? Finding::Level::warn : Finding::Level::block, "target-not-fenced",
           fmt::format("the target's tables {} are another role's: tidegate could not fence them",
                       fmt::join(open.of_others, ", ")),
           "make tidegate's role a member of the owner (GRANT owner TO role), or accept that what others "
           "write "
           "there after the rollback stays there: --accept-loss");
    try {
      target.run("SET session_replication_role = replica");
    } catch (const Error& error) {
      if (error.code() != "42501") throw;
      block("target-not-fenced",
            "tidegate's role may not set session_replication_role: a fence would keep tidegate out as well",
            "connect as a role that may, on Supabase: postgres");
    }
  }

  // False: there is no stream whose lag could be watched.
  bool way_back() {
    const auto settled = parts_.journal.settled();
    if (settled && settled->way_back_start == being_rebuilt) {
      block("way-back-rebuilding", "the way back is being built anew: " + parts_.back.rebuilding(),
            "wait until it runs (`tidegate status --watch`)");
      return false;
    }
    if (settled && settled->way_back_start.empty()) {
      block("no-way-back",
            "the cutover gave the way back up: the legacy database has nothing that was written since then",
            "`tidegate resync --way-back` brings the legacy database in line and makes a way back; see the "
            "runbook way-back-lost");
      return false;
    }
    if (const auto trouble = parts_.back.trouble()) {
      block("way-back-failed", trouble->message,
            "tidegate explain " + trouble->page + "; once it is mended, start the daemon anew");
      return false;
    }
    try {
      append(parts_.way_back.ready_to_return());
    } catch (const std::exception& failure) {
      Told what = told(failure);
      block("way-back-failed", "the way back cannot be asked: " + what.message, what.mend);
    }
    if (!order_.accept_loss) return !blocks(findings_);
    for (auto& finding : findings_)
      if (finding.code == "way-back-rejects") finding.level = Finding::Level::warn;
    return !blocks(findings_);
  }

  void lag(milliseconds calm, std::stop_token stop) {
    const auto until = Clock::now() + calm;
    std::chrono::microseconds longest{0};
    for (int n = 0; n < least_round_trips || (Clock::now() < until && !stop.stop_requested()); ++n) {
      const auto began = Clock::now();
      const bool there = parts_.way_back.caught_up(began + order_.max_lag + 1s, stop).has_value();
      if (stop.stop_requested()) return;
      longest =
          std::max(longest, std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began));
      if (!there || longest > order_.max_lag)
        return block(
            "rollback-lag",
            fmt::format("what is committed on the target took {:.0f} ms to the legacy database, more "
                        "than max-lag ({} ms)",
                        static_cast<double>(longest.count()) / 1000, order_.max_lag.count()),
            "wait until the way back has caught up (`tidegate status`), or for a quieter time");
      std::this_thread::sleep_for(between_round_trips);
    }
    find(Finding::Level::note, "lag",
         fmt::format("what is committed on the target took at most {:.0f} ms to the legacy database",
                     static_cast<double>(longest.count()) / 1000),
         "");
  }

  Parts& parts_;
  const Order& order_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> examine_back(Parts& parts, const Order& order, milliseconds calm, std::stop_token stop) {
  return GuardBack(parts, order).run(calm, stop);
}

}  // namespace tidegate::cutover
