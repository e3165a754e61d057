#include "replicator/cutover/executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "apply/postgres/target_fence.hpp"
#include "capture/sqlite/fence.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/guard.hpp"
#include "replicator/cutover/proof.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto prepare_time = 10min;  // for the full compare of a large file
constexpr auto settle_time = 30s;     // for the write lock, against a busy application
// The last cut compares everything where that took less than this part of max-hold outside.
constexpr int share_for_full_compare = 4;

double as_ms(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

}  // namespace

Outcome Executor::perform(Run& run) {
  try {
    switch (run.step) {
      case Step::guard:
        return guard(run);
      case Step::prepare:
        return prepare(run);
      case Step::hold:
        return hold(run);
      case Step::drain:
        return drain(run);
      case Step::prove:
        return prove(run);
      case Step::reverse:
        return reverse(run);
      case Step::intent:
        return intent(run);
      case Step::open:
        return open(run);
      case Step::switching:
        return switch_over(run);
      default:
        return Outcome::done;
    }
  } catch (const Error& failure) {
    run.reason = failure.what();
    log_warn("cutover, step {}: {}", name_of(run.step), failure.what());
    if (run.step == Step::intent) return Outcome::unknown;
    return failure.advice() == Advice::stop ? Outcome::failed : Outcome::no_time;
  } catch (const std::exception& failure) {
    run.reason = failure.what();
    log_warn("cutover, step {}: {}", name_of(run.step), failure.what());
    return run.step == Step::intent ? Outcome::unknown : Outcome::failed;
  }
}

HookFacts Executor::facts(const Run& run) const {
  const Status status = parts_.coordination.status();
  HookFacts facts{"forward",     run.id,        order_.by, run.reason.empty() ? order_.reason : run.reason,
                  status.source, status.target, 0,         0};
  facts.lag_ms = status.lag.seconds.value_or(0) * 1000;
  facts.hold_ms = hold_ms_.value_or(0);
  return facts;
}

bool Executor::hook(const char* event, Run& run) {
  std::string trouble;
  const bool go_on = parts_.hooks.run(event, facts(run), trouble);
  if (!trouble.empty()) {
    log_warn("{}", trouble);
    run.reason = trouble;
    parts_.coordination.report("hook-failed", trouble);
  }
  return go_on;
}

void Executor::note_hold() {
  if (hold_) hold_ms_ = as_ms(hold_->held());
}

Outcome Executor::out_of_time(Run& run, const char* what) {
  run.reason = fmt::format("{} did not fit into max-hold ({} ms)", what, order_.max_hold.count());
  return Outcome::no_time;
}

Outcome Executor::guard(Run& run) {
  std::stop_source stop;
  std::jthread watching([&](std::stop_token ended) {
    while (!ended.stop_requested() && !abort_) std::this_thread::sleep_for(20ms);
    stop.request_stop();
  });
  findings_ = examine(parts_, order_, order_.calm, stop.get_token());
  if (abort_) return Outcome::done;  // the machine looks at the abort itself
  if (!blocks(findings_)) return hook("on-ready", run) ? Outcome::done : Outcome::failed;
  for (const auto& finding : findings_)
    if (finding.level == Finding::Level::block) run.reason += (run.reason.empty() ? "" : ", ") + finding.code;
  return Outcome::failed;
}

// The hold's processes are started here, so that no time of the hold goes into that.
Outcome Executor::prepare(Run& run) {
  if (run.attempt == 1 && !hook("before-fence", run)) return Outcome::failed;
  auto trip = round_trip(parts_.coordination, true, Clock::now() + prepare_time);
  if (!trip) {
    run.reason = "the full compare before the hold did not end in time";
    return Outcome::no_time;
  }
  full_compare_ = trip->took;
  const auto abort_facts = facts(run);
  hold_ = std::make_unique<Hold>(Hold::Options{source(), order_.max_hold, parts_.hooks.path("on-abort"),
                                               Hooks::environment("on-abort", abort_facts)});
  return hook("on-hold", run) ? Outcome::done : Outcome::failed;
}

Outcome Executor::hold(Run& run) {
  if (hold_->take()) return Outcome::done;
  run.reason = "the source's write lock was not to be had: another program holds it";
  return Outcome::no_time;
}

Outcome Executor::drain(Run& run) {
  const bool everything = full_compare_ * share_for_full_compare < order_.max_hold;
  auto trip = round_trip(parts_.coordination, everything, hold_->ends_at());
  failpoint("cutover-drained");
  if (!trip) return out_of_time(run, "the last cut and its way to the target");
  drained_ = trip->sequence;
  return Outcome::done;
}

Outcome Executor::prove(Run& run) {
  auto proof = prove_target(parts_, drained_, hold_->ends_at());
  failpoint("cutover-proven");
  if (!proof) return out_of_time(run, "the proof");
  run.reason = proof->contradiction;
  return proof->contradiction.empty() ? Outcome::done : Outcome::failed;
}

// The fence is made here, in the transaction that holds the lock, so that a rehearsal measures it too.
Outcome Executor::reverse(Run& run) {
  if (!order_.no_way_back) run.way_back_start = parts_.way_back.record_start(hold_->ends_at());
  sqlite::Database live(source(), sqlite::Database::Mode::read_write, 0ms);
  live.execute("PRAGMA query_only = ON");
  hold_->run(capture::fence_sql(live, run.id));
  failpoint("cutover-fence-made");
  if (!hold_->is_there()) return out_of_time(run, "all that the hold has to do");
  return Outcome::done;
}

// The run with its intent is in the journal. From here on only the source itself can say what is so.
Outcome Executor::intent(Run& run) {
  parts_.coordination.park(true);
  if (!hold_) return settle(run);  // after an attempt to settle, or a restart
  failpoint("cutover-intended");
  const bool committed = hold_->commit();
  note_hold();
  hold_.reset();
  return committed ? Outcome::done : settle(run);
}

Outcome Executor::settle(Run& run) {
  auto fenced = capture::settle_fence(source(), settle_time);
  if (fenced == run.id) return Outcome::done;
  parts_.coordination.park(false);
  run.reason =
      fenced ? "the source is fenced by another run" : "the holder ended before the fence was committed";
  return fenced ? Outcome::failed : Outcome::no_time;
}

Outcome Executor::open(Run& run) {
  failpoint("cutover-before-open");
  auto opened = [id = run.id](SourceView&, const TargetScene& scene) {
    std::vector<TablePlan> plans;
    for (const auto& [name, plan] : scene.plans) plans.push_back(plan);
    open_target(scene.session, plans, id);
  };
  const bool done = on_target(parts_, opened, Clock::now() + 1min);
  if (done)
    run.reason.clear(), parts_.coordination.clear_report("cutover-open");
  else
    run.reason = "the target was not opened yet: it does not answer";
  return done ? Outcome::done : Outcome::no_time;
}

// Whatever becomes of the hooks, the target is live.
Outcome Executor::switch_over(Run& run) {
  failpoint("cutover-before-switch");
  parts_.coordination.clear_report("hook-failed");
  hook("on-fenced", run);
  const bool good = hook("on-switch", run) && hook("verify-switch", run);
  failpoint("cutover-switched");
  if (good) hook("on-done", run);
  return good ? Outcome::done : Outcome::failed;
}

void Executor::let_go(const Run& run) {
  try {
    if (hold_) hold_->release();
    note_hold();
    hold_.reset();
    parts_.coordination.park(false);
    failpoint("cutover-let-go");
    Run ended = run;
    if (ended.mode == Mode::rehearse && ended.reason.empty()) ended.reason = "rehearsed";
    hook("on-abort", ended);
  } catch (const std::exception& failure) {
    log_warn("cutover, letting go: {}", failure.what());
  }
}

}  // namespace tidegate::cutover
