#include "replicator/cutover/machine.hpp"

#include <array>

namespace tidegate::cutover {
namespace {

constexpr std::array<std::string_view, 12> names{"guard",     "prepare", "hold",      "drain",
                                                 "prove",     "reverse", "intent",    "open",
                                                 "switching", "watch",   "rehearsed", "aborted"};

// The lock may be held from `hold` on; hooks may have been run from `prepare` on.
bool has_something_to_undo(Step step) {
  return step >= Step::prepare && step <= Step::intent;
}

Step next_of(const Run& run) {
  if (run.step == Step::reverse && run.mode == Mode::rehearse) return Step::rehearsed;
  return static_cast<Step>(static_cast<int>(run.step) + 1);
}

Move give_up(const Run& run) {
  return {Step::aborted, has_something_to_undo(run.step), false};
}

}  // namespace

std::string_view name_of(Step step) {
  return names[static_cast<std::size_t>(step)];
}

std::optional<Step> step_named(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<Step>(i);
  }
  return std::nullopt;
}

bool is_end(Step step) {
  return step >= Step::watch;
}

bool is_past_return(Step step) {
  return step >= Step::intent && step <= Step::watch;
}

Move after(const Run& run, Outcome outcome, Situation situation) {
  if (is_end(run.step)) return {run.step};
  // The fence is there, or has been asked for; `intent` itself fails only once it is settled that it is not.
  if (run.step == Step::open && outcome != Outcome::done) return {Step::open, false, true};
  if (run.step == Step::switching) return {Step::watch};
  if (run.step == Step::intent && outcome == Outcome::unknown) return {Step::intent, false, true};
  if (outcome == Outcome::failed) return give_up(run);
  if (situation.stop && !(is_past_return(run.step) && outcome == Outcome::done)) return give_up(run);
  if (outcome == Outcome::done) {
    Step to = next_of(run);
    return {to, to == Step::rehearsed, false};
  }
  if (run.step < Step::hold || run.attempt >= run.attempts) return give_up(run);
  return {Step::prepare, true, true};
}

namespace {

Decision half_done(std::string why) {
  return {Decision::Kind::half_done, Step::guard, std::move(why)};
}

// Before the intent no database may know of the run, nor of another that was not undone.
Decision nothing_is_changed(const SourceSays& source, const TargetSays& target, Decision::Kind otherwise) {
  if (source.fenced_by)
    return half_done("the source is fenced by run " + *source.fenced_by +
                     ", which the journal never intended");
  if (target.is_live)
    return half_done("the target was opened by run " + target.run + " and the source is not fenced");
  return {otherwise, Step::guard, ""};
}

}  // namespace

Decision decide(const std::optional<Run>& last, const SourceSays& source, const TargetSays& target) {
  if (!last || last->step == Step::aborted || last->step == Step::rehearsed)
    return nothing_is_changed(source, target, Decision::Kind::nothing);
  if (last->step < Step::intent) return nothing_is_changed(source, target, Decision::Kind::abort);
  const bool fenced = source.fenced_by == last->id, opened = target.is_live && target.run == last->id;
  if (last->step == Step::intent && !source.fenced_by && !target.is_live)
    return {Decision::Kind::abort, Step::guard, ""};
  if (!fenced)
    return half_done("run " + last->id + " is past its point of no return, and the source " +
                     (source.fenced_by ? "is fenced by run " + *source.fenced_by : "is not fenced"));
  if (target.is_live && !opened)
    return half_done("the source is fenced by run " + last->id + ", and the target was opened by run " +
                     target.run);
  if (last->step == Step::intent)
    return opened ? half_done("the target is open already for run " + last->id + ", which was only intended")
                  : Decision{Decision::Kind::go_on, Step::open, ""};
  if (last->step == Step::open) return {Decision::Kind::go_on, Step::open, ""};
  if (!opened) return half_done("run " + last->id + " has opened the target, which does not know of it");
  return {Decision::Kind::go_on, last->step, ""};
}

}  // namespace tidegate::cutover
