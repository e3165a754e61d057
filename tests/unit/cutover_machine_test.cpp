// The protocol's transitions and the decision after a crash, over every state that there is.
#include "replicator/cutover/machine.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "db/error.hpp"
#include "replicator/cutover/permitted.hpp"
#include "replicator/cutover/run_journal.hpp"
#include "support/scratch.hpp"

namespace tidegate::cutover {
namespace {

using testing_support::Scratch;
using ARun = Run;  // within a test, Run is the framework's

constexpr Step steps[] = {Step::guard,     Step::prepare, Step::hold,      Step::drain,
                          Step::prove,     Step::reverse, Step::intent,    Step::open,
                          Step::switching, Step::watch,   Step::rehearsed, Step::aborted};
constexpr Outcome outcomes[] = {Outcome::done, Outcome::no_time, Outcome::failed, Outcome::unknown};

Run at(Step step, Mode mode = Mode::cutover, std::uint64_t attempt = 1) {
  Run run;
  run.id = "r1";
  run.step = step;
  run.mode = mode;
  run.attempt = attempt;
  return run;
}

std::vector<Step> path(Mode mode) {
  std::vector<Step> path;
  for (ARun run = at(Step::guard, mode); !is_end(run.step); run.step = after(run, Outcome::done, {}).to)
    path.push_back(run.step);
  return path;
}

TEST(CutoverMachine, ACutoverGoesThroughAllSteps) {
  EXPECT_EQ(path(Mode::cutover), (std::vector<Step>{steps, steps + 9}));
}

TEST(CutoverMachine, ARollbackGoesThroughTheSameSteps) {
  EXPECT_EQ(path(Mode::rollback), path(Mode::cutover));
}

TEST(CutoverMachine, ARehearsalNeverComesToTheIntent) {
  EXPECT_EQ(path(Mode::rehearse), (std::vector<Step>{steps, steps + 6}));
  EXPECT_EQ(after(at(Step::reverse, Mode::rehearse), Outcome::done, {}),
            (Move{Step::rehearsed, true, false}));
  for (Step step : {Step::guard, Step::prepare, Step::hold, Step::drain, Step::prove, Step::reverse})
    for (Outcome outcome : outcomes)
      for (bool stop : {false, true}) {
        auto to = after(at(step, Mode::rehearse), outcome, {stop}).to;
        EXPECT_FALSE(to == Step::intent || to == Step::open || to == Step::watch);
      }
}

TEST(CutoverMachine, OpenFollowsNothingButADoneIntent) {
  for (Step step : steps)
    for (Outcome outcome : outcomes)
      for (bool stop : {false, true}) {
        if (after(at(step), outcome, {stop}).to != Step::open) continue;
        EXPECT_TRUE(step == Step::open || (step == Step::intent && outcome == Outcome::done));
      }
}

TEST(CutoverMachine, BeforeTheReturnEveryFailureLetsGo) {
  for (Step step : {Step::prepare, Step::hold, Step::drain, Step::prove, Step::reverse})
    for (Outcome outcome : {Outcome::no_time, Outcome::failed})
      for (bool stop : {false, true}) {
        Move move = after(at(step), outcome, {stop});
        EXPECT_TRUE(move.let_go) << name_of(step);
        EXPECT_TRUE(move.to == Step::aborted || move.to == Step::prepare);
      }
  EXPECT_EQ(after(at(Step::guard), Outcome::failed, {}), (Move{Step::aborted, false, false}));
}

TEST(CutoverMachine, PastTheReturnNothingAborts) {
  for (Outcome outcome : outcomes)
    for (bool stop : {false, true}) {
      EXPECT_NE(after(at(Step::open), outcome, {stop}).to, Step::aborted);
      EXPECT_EQ(after(at(Step::switching), outcome, {stop}).to, Step::watch);
      EXPECT_EQ(after(at(Step::watch), outcome, {stop}).to, Step::watch);
    }
  EXPECT_EQ(after(at(Step::intent), Outcome::unknown, {true}), (Move{Step::intent, false, true}));
  EXPECT_EQ(after(at(Step::intent), Outcome::done, {true}).to, Step::open);
}

TEST(CutoverMachine, WhatDidNotFitIsTriedAgainAsOftenAsAllowed) {
  for (Step step : {Step::hold, Step::drain, Step::prove, Step::reverse, Step::intent}) {
    EXPECT_EQ(after(at(step), Outcome::no_time, {}), (Move{Step::prepare, true, true}));
    EXPECT_EQ(after(at(step, Mode::cutover, 3), Outcome::no_time, {}).to, Step::aborted);
    EXPECT_EQ(after(at(step), Outcome::no_time, {true}).to, Step::aborted);
  }
}

TEST(CutoverMachine, AnAbortIsTakenBetweenAnyTwoStepsBeforeTheIntent) {
  for (Step step : {Step::guard, Step::prepare, Step::hold, Step::drain, Step::prove, Step::reverse})
    EXPECT_EQ(after(at(step), Outcome::done, {true}).to, Step::aborted);
}

TEST(CutoverMachine, NamesAreReadBack) {
  for (Step step : steps) EXPECT_EQ(step_named(name_of(step)), step);
  EXPECT_FALSE(step_named("elsewhere"));
}

// --- decide ---

using Kind = Decision::Kind;

// What each side says. r1 is the run in question; r0 the one before it that came through.
const Says takes_writes{true, ""}, fenced_by_us{false, "r1"}, fenced_by_other{false, "r9"},
    not_live{false, ""}, live_by_us{true, "r1"}, live_by_other{true, "r9"};
const std::optional<ARun> never;

ARun settled(Mode mode) {
  ARun run = at(Step::watch, mode);
  run.id = "r0";
  return run;
}

TEST(CutoverDecision, WithoutARunBothMustBeUntouched) {
  for (const auto& last :
       {std::optional<ARun>(), std::optional(at(Step::aborted)), std::optional(at(Step::rehearsed))}) {
    EXPECT_EQ(decide(last, never, takes_writes, not_live).kind, Kind::nothing);
    EXPECT_EQ(decide(last, never, fenced_by_us, not_live).kind, Kind::half_done);
    EXPECT_EQ(decide(last, never, takes_writes, live_by_other).kind, Kind::half_done);
    EXPECT_EQ(decide(last, never, fenced_by_us, live_by_us).kind, Kind::half_done);
  }
}

TEST(CutoverDecision, BeforeTheIntentItIsGivenUp) {
  for (Step step : {Step::guard, Step::prepare, Step::hold, Step::drain, Step::prove, Step::reverse}) {
    EXPECT_EQ(decide(at(step), never, takes_writes, not_live).kind, Kind::abort);
    EXPECT_EQ(decide(at(step), never, fenced_by_us, not_live).kind, Kind::half_done);
    EXPECT_EQ(decide(at(step), never, takes_writes, live_by_us).kind, Kind::half_done);
  }
}

TEST(CutoverDecision, AnIntentIsWhatTheSourceSays) {
  const ARun run = at(Step::intent);
  EXPECT_EQ(decide(run, never, takes_writes, not_live).kind, Kind::abort);
  auto on = decide(run, never, fenced_by_us, not_live);
  EXPECT_EQ(on.kind, Kind::go_on);
  EXPECT_EQ(on.from, Step::open);
  EXPECT_EQ(decide(run, never, fenced_by_other, not_live).kind, Kind::half_done);
  EXPECT_EQ(decide(run, never, fenced_by_us, live_by_us).kind, Kind::half_done);
  EXPECT_EQ(decide(run, never, takes_writes, live_by_us).kind, Kind::half_done);
}

TEST(CutoverDecision, FromOpenOnItRollsForward) {
  EXPECT_EQ(decide(at(Step::open), never, fenced_by_us, not_live).from, Step::open);
  EXPECT_EQ(decide(at(Step::open), never, fenced_by_us, live_by_us).from, Step::open);
  EXPECT_EQ(decide(at(Step::switching), never, fenced_by_us, live_by_us).from, Step::switching);
  for (Step step : {Step::open, Step::switching}) {
    EXPECT_EQ(decide(at(step), never, takes_writes, live_by_us).kind, Kind::half_done);
    EXPECT_EQ(decide(at(step), never, fenced_by_other, live_by_us).kind, Kind::half_done);
    EXPECT_EQ(decide(at(step), never, fenced_by_us, live_by_other).kind, Kind::half_done);
  }
  EXPECT_EQ(decide(at(Step::switching), never, fenced_by_us, not_live).kind, Kind::half_done);
}

TEST(CutoverDecision, OnceItCameThroughBothMustSaySo) {
  const ARun run = at(Step::watch);
  EXPECT_EQ(decide(run, run, fenced_by_us, live_by_us).kind, Kind::nothing);
  EXPECT_EQ(live_after(run), Side::target);
  for (const auto& source : {takes_writes, fenced_by_other, live_by_us})
    EXPECT_EQ(decide(run, run, source, live_by_us).kind, Kind::half_done);
  for (const auto& target : {not_live, live_by_other, fenced_by_us})
    EXPECT_EQ(decide(run, run, fenced_by_us, target).kind, Kind::half_done);
}

// --- decide, of a rollback: the same with the ends exchanged ---

const Says fenced_before{false, "r0"}, live_before{true, "r0"};

TEST(RollbackDecision, BeforeTheIntentItIsGivenUp) {
  for (Step step : {Step::guard, Step::prepare, Step::hold, Step::drain, Step::prove, Step::reverse}) {
    const ARun run = at(step, Mode::rollback);
    EXPECT_EQ(decide(run, settled(Mode::cutover), fenced_before, live_before).kind, Kind::abort);
    EXPECT_EQ(decide(run, settled(Mode::cutover), fenced_before, fenced_by_us).kind, Kind::half_done);
    EXPECT_EQ(decide(run, settled(Mode::cutover), live_by_us, live_before).kind, Kind::half_done);
    EXPECT_EQ(decide(run, settled(Mode::cutover), takes_writes, live_before).kind, Kind::half_done);
  }
}

TEST(RollbackDecision, AnIntentIsWhatTheTargetSays) {
  const ARun run = at(Step::intent, Mode::rollback);
  const auto before = settled(Mode::cutover);
  EXPECT_EQ(decide(run, before, fenced_before, live_before).kind, Kind::abort);
  auto on = decide(run, before, fenced_before, fenced_by_us);
  EXPECT_EQ(on.kind, Kind::go_on);
  EXPECT_EQ(on.from, Step::open);
  EXPECT_EQ(decide(run, before, fenced_before, fenced_by_other).kind, Kind::half_done);
  EXPECT_EQ(decide(run, before, live_by_us, fenced_by_us).kind, Kind::half_done);
  EXPECT_EQ(decide(run, before, live_by_us, live_before).kind, Kind::half_done);
}

TEST(RollbackDecision, FromOpenOnItRollsForward) {
  const auto before = settled(Mode::cutover);
  EXPECT_EQ(decide(at(Step::open, Mode::rollback), before, fenced_before, fenced_by_us).from, Step::open);
  EXPECT_EQ(decide(at(Step::open, Mode::rollback), before, live_by_us, fenced_by_us).from, Step::open);
  const ARun run = at(Step::switching, Mode::rollback);
  EXPECT_EQ(decide(run, before, live_by_us, fenced_by_us).from, Step::switching);
  EXPECT_EQ(decide(run, before, fenced_before, fenced_by_us).kind, Kind::half_done);
  EXPECT_EQ(decide(run, before, live_by_us, live_before).kind, Kind::half_done);
}

TEST(RollbackDecision, AfterItTheSourceTakesWrites) {
  const auto back = settled(Mode::rollback);
  for (const auto& last : {std::optional(back), std::optional(at(Step::aborted))}) {
    EXPECT_EQ(decide(last, back, live_before, fenced_before).kind, Kind::nothing);
    EXPECT_EQ(decide(last, back, takes_writes, not_live).kind, Kind::nothing) << "restored, and not asked";
    EXPECT_EQ(decide(last, back, fenced_before, fenced_before).kind, Kind::half_done);
    EXPECT_EQ(decide(last, back, live_before, live_before).kind, Kind::half_done);
    EXPECT_EQ(decide(last, back, live_before, fenced_by_other).kind, Kind::half_done);
  }
  EXPECT_EQ(live_after(back), Side::source);
}

TEST(RollbackDecision, ASecondCutoverBeginsFromThere) {
  const auto back = settled(Mode::rollback);
  EXPECT_EQ(decide(at(Step::drain), back, live_before, fenced_before).kind, Kind::abort);
  EXPECT_EQ(decide(at(Step::intent), back, live_before, fenced_before).kind, Kind::abort);
  EXPECT_EQ(decide(at(Step::intent), back, fenced_by_us, fenced_before).from, Step::open);
  EXPECT_EQ(decide(at(Step::open), back, fenced_by_us, live_by_us).from, Step::open);
}

TEST(RollbackDecision, GivenUpTheTargetStaysLive) {
  const auto before = settled(Mode::cutover);
  EXPECT_EQ(decide(at(Step::aborted, Mode::rollback), before, fenced_before, live_before).kind,
            Kind::nothing);
  EXPECT_EQ(live_after(before), Side::target);
}

// --- the journal ---

TEST(RunJournal, TheLastStepOfTheLastRunIsReadBack) {
  Scratch scratch;
  const std::string file = scratch.file("control.db");
  {
    RunJournal journal(file);
    EXPECT_FALSE(journal.last());
    journal.begin(at(Step::guard));
    ARun second = at(Step::guard, Mode::rehearse);
    second.id = "r2";
    journal.begin(second);
    second.step = Step::reverse;
    second.attempt = 2;
    second.way_back_start = "0/16B3748";
    second.reason = "because";
    journal.enter(second);
  }
  RunJournal again(file);
  auto last = again.last();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->id, "r2");
  EXPECT_EQ(last->mode, Mode::rehearse);
  EXPECT_EQ(last->step, Step::reverse);
  EXPECT_EQ(last->attempt, 2U);
  EXPECT_EQ(last->way_back_start, "0/16B3748");
  EXPECT_EQ(last->reason, "because");
  EXPECT_EQ(again.steps("r2").size(), 2U);
}

TEST(RunJournal, TheSettledRunIsTheLastThatCameThrough) {
  Scratch scratch;
  RunJournal journal(scratch.file("control.db"));
  EXPECT_FALSE(journal.settled());
  ARun cut = at(Step::guard);
  cut.way_back_start = "start";
  journal.begin(cut);
  EXPECT_FALSE(journal.settled());
  cut.step = Step::watch;
  journal.enter(cut);
  ARun back = at(Step::guard, Mode::rollback);
  back.id = "r2";
  journal.begin(back);
  back.step = Step::aborted;
  journal.enter(back);
  ASSERT_TRUE(journal.settled());
  EXPECT_EQ(journal.settled()->id, "r1");
  EXPECT_EQ(journal.settled()->way_back_start, "start");
  EXPECT_EQ(journal.last()->mode, Mode::rollback);
}

TEST(RunJournal, ARunThatIsGoneOnWithIsTheLastThoughAnotherWasBegunSince) {
  Scratch scratch;
  RunJournal journal(scratch.file("control.db"));
  ARun cut = at(Step::watch);
  journal.begin(cut);
  ARun back = at(Step::aborted, Mode::rollback);
  back.id = "r2";
  journal.begin(back);
  cut.step = Step::switching;
  journal.enter(cut);
  EXPECT_EQ(journal.last()->id, "r1");
  EXPECT_EQ(journal.last()->step, Step::switching);
}

// --- verbs and phases ---

TEST(Permitted, TheDocumentHasTheTable) {
  std::ifstream file(std::string(TIDEGATE_ROOT) + "/replicator/cutover/README.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find(as_markdown()), std::string::npos) << as_markdown();
}

TEST(Permitted, WhatWritesToTheTargetIsRefusedOnceItIsLive) {
  for (const char* verb :
       {"repair", "resync", "reset", "restore", "quarantine retry", "quarantine accept", "resume"})
    for (const char* phase : {"switching", "reversed"}) {
      EXPECT_THROW(require_permitted(verb, phase), Refused) << verb << " in " << phase;
    }
  EXPECT_NO_THROW(require_permitted("quarantine retry", "streaming"));
}

TEST(Permitted, AnAbortThatComesTooLateNamesRollback) {
  try {
    require_permitted("abort", "switching");
    FAIL();
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.code(), "past-no-return");
    EXPECT_NE(refused.mend().find("rollback"), std::string::npos);
  }
}

}  // namespace
}  // namespace tidegate::cutover
