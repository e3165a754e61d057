// What status says of cutovers and rollbacks: which side is live, the steps with their times, what to do
// next.
#include <fmt/format.h>

#include <algorithm>

#include "replicator/cutover/cutover.hpp"
#include "replicator/cutover/executor.hpp"
#include "replicator/cutover/guard.hpp"
#include "replicator/log.hpp"

namespace tidegate::cutover {
namespace {

const char* level_name(Finding::Level level) {
  return level == Finding::Level::block ? "block" : level == Finding::Level::warn ? "warn" : "note";
}

const char* outcome_of(const Run& run, bool refused) {
  if (run.step == Step::watch) return "done";
  if (run.step == Step::rehearsed) return "rehearsed";
  return run.step == Step::aborted ? (refused ? "refused" : "aborted") : "";
}

std::int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

const char* word(Side side) {
  return side == Side::source ? "source" : "target";
}

}  // namespace

void Cutover::end(const Run& run, const Executor& executor) {
  note(run, &executor);
  const bool refused = blocks(executor.findings());
  {
    std::lock_guard lock(mutex_);
    shown_.outcome = outcome_of(run, refused);
    if (run.step == Step::watch) live_ = other(from_of(run.mode));
  }
  const std::string mode(name_of(run.mode));
  try {
    parts_.store.audit(mode + " ended", "tidegate", run.reason, std::string(name_of(run.step)));
  } catch (const Error& failure) {
    log_warn("the audit could not be written: {}", failure.what());
  }
  log_info("{} {}: {}{}{}", mode, run.id, name_of(run.step), run.reason.empty() ? "" : ": ", run.reason);
}

void Cutover::note(const Run& run, const Executor* executor) {
  auto steps = journal_->steps(run.id);
  const auto now = now_us();
  std::lock_guard lock(mutex_);
  step_ = run.step;
  mode_ = run.mode;
  shown_.run = run.id;
  shown_.mode = name_of(run.mode);
  shown_.step = name_of(run.step);
  shown_.attempt = run.attempt;
  shown_.reason = run.reason;
  shown_.steps.clear();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto ended = i + 1 < steps.size() ? steps[i + 1].at_us : now;
    if (is_end(steps[i].step)) continue;
    shown_.steps.push_back({std::string(name_of(steps[i].step)), steps[i].attempt,
                            static_cast<double>(ended - steps[i].at_us) / 1000});
  }
  step_began_us_ = steps.empty() ? now : steps.back().at_us;
  if (is_end(run.step) && !executor) shown_.outcome = outcome_of(run, false);
  if (!executor) return;
  shown_.hold_ms = executor->hold_ms();
  shown_.writers = executor->writers();
  shown_.findings.clear();
  for (const auto& finding : executor->findings())
    shown_.findings.push_back({level_name(finding.level), finding.code, finding.message, finding.mend});
}

bool Cutover::is_target_live() {
  std::lock_guard lock(mutex_);
  return live_ == Side::target;
}

std::string Cutover::permission_phase(const std::string& phase) {
  if (!knows_live_side_)
    throw Refused("starting", "the daemon has just started, and asks both databases which side is live",
                  "give the command again in a moment; `tidegate status` says what it waits for");
  std::lock_guard lock(mutex_);
  if (is_end(step_)) return live_ == Side::target ? "reversed" : phase;
  if (is_past_return(step_)) return "switching";
  return mode_ == Mode::rollback ? "rollback" : "cutover";
}

void Cutover::show(Status& status) {
  if (!knows_live_side_) return;
  std::lock_guard lock(mutex_);
  status.live = word(live_);
  if (!shown_.run.empty()) status.cutover = shown_;
  if (!is_end(step_) && status.cutover && !status.cutover->steps.empty())
    status.cutover->steps.back().milliseconds = static_cast<double>(now_us() - step_began_us_) / 1000;
  if (live_ == Side::target) show_reversed(status);
  if (!is_end(step_))
    show_run(status);
  else
    show_switch(status);
}

// The traffic may still go to the side that was left.
void Cutover::show_switch(Status& status) const {
  if (!settled_ || settled_->reason.empty()) return;
  status.next_steps.insert(status.next_steps.begin(),
                           fmt::format("tidegate {} --continue", name_of(settled_->mode)));
}

void Cutover::show_run(Status& status) const {
  if (is_past_return(step_) && step_ != Step::intent) status.live = word(other(from_of(mode_)));
  status.phase = mode_ == Mode::rollback ? "rollback" : "cutover";
  status.step = shown_.step;
  status.next_steps = {"tidegate status --watch"};
  if (!is_past_return(step_)) status.next_steps.push_back("tidegate abort");
}

void Cutover::show_reversed(Status& status) {
  status.phase = "reversed";
  status.step = "watching";
  const Lag lag = way_back_->lag();
  const auto reported = [&](std::string_view code) {
    return std::any_of(status.errors.begin(), status.errors.end(),
                       [&](const StatusError& error) { return error.code == code; });
  };
  status.rollback.lag_seconds = lag.seconds;
  status.rollback.lag_transactions = lag.transactions;
  status.rollback.rejects = rejects_;
  status.rollback.rebuilding = back_.rebuilding();
  status.rollback.ready = status.rollback.rebuilding.empty() && lag.seconds.has_value() &&
                          status.rollback.rejects == 0 && !reported("way-back-failed") &&
                          !reported("fence-broken") && !reported("fence-passed") &&
                          !reported("way-back-incomplete");
  status.next_steps.clear();
  if (const auto trouble = back_.trouble())
    status.next_steps.emplace_back("tidegate explain " + trouble->page);
  status.next_steps.emplace_back("tidegate status --watch");
  status.next_steps.emplace_back("tidegate rollback --dry-run");
}

}  // namespace tidegate::cutover
