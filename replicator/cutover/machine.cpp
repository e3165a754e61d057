#include "replicator/cutover/machine.hpp"

#include <array>

namespace tidegate::cutover {
namespace {

constexpr std::array<std::string_view, 12> names{"guard",     "prepare", "hold",      "drain",
                                                 "prove",     "reverse", "intent",    "open",
                                                 "switching", "watch",   "rehearsed", "aborted"};

constexpr std::array<std::string_view, 3> modes{"rehearse", "cutover", "rollback"};

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

std::string_view name_of(Mode mode) {
  return modes[static_cast<std::size_t>(mode)];
}

std::optional<Mode> mode_named(std::string_view name) {
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (modes[i] == name) return static_cast<Mode>(i);
  }
  return std::nullopt;
}

Side from_of(Mode mode) {
  return mode == Mode::rollback ? Side::target : Side::source;
}

Side other(Side side) {
  return side == Side::source ? Side::target : Side::source;
}

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

Side live_after(const std::optional<Run>& settled) {
  return settled ? other(from_of(settled->mode)) : Side::source;
}

namespace {

Decision half_done(std::string why) {
  return {Decision::Kind::half_done, Step::guard, std::move(why)};
}

const char* word(Side side) {
  return side == Side::source ? "source" : "target";
}

std::string what_it_is(Side side, const Says& says) {
  const std::string state = says.is_live           ? " takes writes"
                            : side == Side::source ? " is fenced"
                                                   : " is not live";
  return std::string("the ") + word(side) + state + (says.run.empty() ? "" : " by run " + says.run);
}

// While no run is past its point of no return, both say what the settled one left; empty: they do. A live
// side that knows of no run may have been restored from a backup: it takes writes all the same.
std::string against_rest(const std::optional<Run>& settled, const Says& source, const Says& target) {
  const Side live = live_after(settled);
  const std::string expected = settled ? settled->id : "";
  for (Side side : {Side::source, Side::target}) {
    const Says& says = side == Side::source ? source : target;
    const bool knows = says.run == expected || (says.run.empty() && live == Side::source);
    if (says.is_live == (side == live) && knows) continue;
    return what_it_is(side, says) + (settled ? ", and the journal's last that came through is run " + expected
                                             : ", which the journal never intended");
  }
  return "";
}

Decision at_rest(const std::optional<Run>& settled, const Says& source, const Says& target,
                 Decision::Kind otherwise) {
  std::string why = against_rest(settled, source, target);
  return why.empty() ? Decision{otherwise, Step::guard, ""} : half_done(std::move(why));
}

// Its fence is there: it is carried to its end.
Decision roll_forward(const Run& run, bool opened) {
  if (run.step == Step::intent && opened)
    return half_done("the " + std::string(word(other(from_of(run.mode)))) + " is open already for run " +
                     run.id + ", which was only intended");
  if (run.step <= Step::open) return {Decision::Kind::go_on, Step::open, ""};
  if (!opened)
    return half_done("run " + run.id + " has opened the " + word(other(from_of(run.mode))) +
                     ", which does not know of it");
  return {Decision::Kind::go_on, run.step, ""};
}

}  // namespace

Decision decide(const std::optional<Run>& last, const std::optional<Run>& settled, const Says& source,
                const Says& target) {
  if (!last || is_end(last->step)) return at_rest(settled, source, target, Decision::Kind::nothing);
  if (last->step < Step::intent) return at_rest(settled, source, target, Decision::Kind::abort);
  if (last->step == Step::intent && against_rest(settled, source, target).empty())
    return {Decision::Kind::abort, Step::guard, ""};
  const Side from = from_of(last->mode), to = other(from);
  const Says &left = from == Side::source ? source : target, &taken = from == Side::source ? target : source;
  const bool fenced = !left.is_live && left.run == last->id, opened = taken.is_live && taken.run == last->id;
  if (!fenced)
    return half_done("run " + last->id + " is past its point of no return, and " + what_it_is(from, left));
  if (taken.is_live && !opened)
    return half_done("the " + std::string(word(from)) + " is fenced by run " + last->id + ", and " +
                     what_it_is(to, taken));
  return roll_forward(*last, opened);
}

}  // namespace tidegate::cutover
