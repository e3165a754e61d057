#include "replicator/cutover/executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "db/failpoint.hpp"
#include "replicator/cutover/backward.hpp"
#include "replicator/cutover/forward.hpp"
#include "replicator/cutover/guard.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto prepare_time = 10min;  // for the full compare of a large file

double as_ms(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

}  // namespace

std::unique_ptr<Passage> make_passage(Parts& parts, const Order& order) {
  if (order.mode == Mode::rollback) return std::make_unique<Backward>(parts, order);
  return std::make_unique<Forward>(parts, order);
}

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
  HookFacts facts{passage_->direction(),
                  run.id,
                  std::string(name_of(run.step)),
                  order_.by,
                  run.reason.empty() ? order_.reason : run.reason,
                  status.source,
                  status.target,
                  0,
                  0};
  facts.lag_ms = status.lag.seconds.value_or(0) * 1000;
  facts.hold_ms = hold_ms_.value_or(0);
  return facts;
}

bool Executor::hook(const char* event, Run& run, const HookWatch& watch) {
  std::string trouble;
  const bool go_on = parts_.hooks.run(event, facts(run), trouble, watch);
  note_trouble(run, trouble);
  return go_on;
}

void Executor::note_trouble(Run& run, const std::string& trouble) {
  if (trouble.empty()) return;
  log_warn("{}", trouble);
  run.reason = trouble;
  parts_.coordination.report(run.step == Step::switching ? "hook-failed" : "hook-trouble", trouble);
}

// What these say of themselves must not look like the run's own end.
void Executor::tell_end(const Run& run) {
  tell_writers(run);
  if (run.step == Step::aborted || (run.step == Step::watch && !run.reason.empty())) tell("on-failure", run);
  tell("on-status", run);
}

void Executor::tell(const char* event, const Run& run) {
  std::string trouble;
  parts_.hooks.run(event, facts(run), trouble);
  if (!trouble.empty()) log_warn("{}", trouble);
}

void Executor::note_hold() {
  if (hold_) hold_ms_ = as_ms(hold_->held());
}

Outcome Executor::out_of_time(Run& run, const char* what) {
  run.reason = fmt::format("{} did not fit into max-hold ({} ms)", what, order_.max_hold.count());
  return Outcome::no_time;
}

// Where requests wait in a proxy, or writers wait for the lock, none fails.
void Executor::watch_writers() {
  if (order_.mode != Mode::rehearse || !order_.accept_failed_writes || parts_.hooks.has("on-hold")) return;
  watch_.emplace(parts_.legacy);
  watch_->before_guard();
}

void Executor::tell_writers(const Run& run) {
  if (!watch_ || run.step != Step::rehearsed) return;
  writers_ = watch_->afterwards();
  if (!writers_) return;
  log_info("{}", in_words(*writers_));
  try {
    remember(parts_.store, *writers_);
  } catch (const std::exception& failure) {
    log_warn("what the rehearsal has seen could not be kept: {}", failure.what());
  }
}

Outcome Executor::guard(Run& run) {
  parts_.coordination.clear_report("hook-trouble");
  tell("on-status", run);
  std::stop_source stop;
  std::jthread watching([&](std::stop_token ended) {
    while (!ended.stop_requested() && !abort_) std::this_thread::sleep_for(20ms);
    stop.request_stop();
  });
  watch_writers();
  findings_ = passage_->examine(order_.calm, stop.get_token());
  if (watch_) watch_->after_guard();
  if (abort_) return Outcome::done;  // the machine looks at the abort itself
  if (!blocks(findings_)) return hook("on-ready", run) ? Outcome::done : Outcome::failed;
  for (const auto& finding : findings_)
    if (finding.level == Finding::Level::block) run.reason += (run.reason.empty() ? "" : ", ") + finding.code;
  return Outcome::failed;
}

// The hold's processes are started here, so that no time of the hold goes into that.
Outcome Executor::prepare(Run& run) {
  tell("on-status", run);
  if (!hook("before-fence", run)) return Outcome::failed;
  if (!passage_->prepare(Clock::now() + prepare_time)) {
    run.reason = "the full compare before the hold did not end in time";
    return Outcome::no_time;
  }
  auto what = passage_->what_to_hold();
  what.max_hold = order_.max_hold;
  what.hook = parts_.hooks.path("on-abort");
  what.hook_environment = Hooks::environment("on-abort", facts(run));
  what.hook_output = (std::filesystem::path(parts_.state_path).parent_path() / "on-abort.log").string();
  hold_ = std::make_unique<Hold>(what);
  const auto watch = [this](pid_t group, milliseconds limit) { hold_->waits_outside(group, limit); };
  return hook("on-hold", run, watch) ? Outcome::done : Outcome::failed;
}

Outcome Executor::hold(Run& run) {
  if (hold_->take()) {
    if (watch_) watch_->locked();
    return Outcome::done;
  }
  run.reason = "the live side's write lock was not to be had: somebody else holds it";
  return Outcome::no_time;
}

Outcome Executor::drain(Run& run) {
  if (!passage_->drain(hold_->ends_at()))
    return out_of_time(run, "the last changes and their way to the other side");
  std::string trouble;
  const auto left = std::chrono::duration_cast<milliseconds>(hold_->ends_at() - Clock::now());
  const bool go_on = parts_.hooks.run_within(left, "on-drained", facts(run), trouble);
  note_trouble(run, trouble);
  if (!hold_->is_there()) return out_of_time(run, "all until the hook on-drained had ended");
  return go_on ? Outcome::done : Outcome::failed;
}

Outcome Executor::prove(Run& run) {
  auto against = passage_->prove(hold_->ends_at());
  if (!against) return out_of_time(run, "the proof");
  run.reason = *against;
  return against->empty() ? Outcome::done : Outcome::failed;
}

// The fence is made here, in the transaction that holds the lock, so that a rehearsal measures it too.
Outcome Executor::reverse(Run& run) {
  passage_->record_start(run, hold_->ends_at());
  hold_->run(passage_->fence(run));
  failpoint("cutover-fence-made");
  if (!hold_->is_there()) return out_of_time(run, "all that the hold has to do");
  return Outcome::done;
}

// The run with its intent is in the journal. From here on only the side that was live can say what is so.
Outcome Executor::intent(Run& run) {
  passage_->stand_still();
  if (!hold_) return settle(run);  // after an attempt to settle, or a restart
  failpoint("cutover-intended");
  const bool committed = hold_->commit();
  note_hold();
  hold_.reset();
  return committed ? Outcome::done : settle(run);
}

Outcome Executor::settle(Run& run) {
  auto fenced = passage_->settle();
  if (fenced == run.id) return Outcome::done;
  passage_->go_on_as_before();
  run.reason =
      fenced ? "the live side is fenced by another run" : "the holder ended before the fence was committed";
  return fenced ? Outcome::failed : Outcome::no_time;
}

Outcome Executor::open(Run& run) {
  const bool done = passage_->open(run);
  if (done)
    run.reason.clear(), parts_.coordination.clear_report("cutover-open");
  else
    run.reason = "the other side was not opened yet: it does not answer";
  return done ? Outcome::done : Outcome::no_time;
}

// Whatever becomes of the hooks, the other side is live.
Outcome Executor::switch_over(Run& run) {
  failpoint("cutover-before-switch");
  parts_.coordination.clear_report("hook-failed");
  hook("on-fenced", run);
  const bool good = hook(passage_->switch_event(), run) && hook("verify-switch", run);
  failpoint("cutover-switched");
  if (good) hook("on-done", run);
  return good ? Outcome::done : Outcome::failed;
}

void Executor::let_go(const Run& run, bool again) {
  try {
    if (hold_) hold_->release();
    if (hold_ && watch_) watch_->released();
    note_hold();
    hold_.reset();
    passage_->go_on_as_before();
    failpoint("cutover-let-go");
    Run ended = run;
    if (ended.mode == Mode::rehearse && ended.reason.empty()) ended.reason = "rehearsed";
    HookFacts told = facts(ended);
    told.again = again;
    std::string trouble;
    parts_.hooks.run("on-abort", told, trouble);
    note_trouble(ended, trouble);
  } catch (const std::exception& failure) {
    log_warn("cutover, letting go: {}", failure.what());
  }
}

}  // namespace tidegate::cutover
