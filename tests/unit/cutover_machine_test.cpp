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

const SourceSays no_fence{}, our_fence{"r1"}, other_fence{"r0"};
const TargetSays not_live{}, live_by_us{true, "r1"}, live_by_other{true, "r0"};
using Kind = Decision::Kind;

TEST(CutoverDecision, WithoutARunBothMustBeUntouched) {
  for (const auto& last :
       {std::optional<ARun>(), std::optional(at(Step::aborted)), std::optional(at(Step::rehearsed))}) {
    EXPECT_EQ(decide(last, no_fence, not_live).kind, Kind::nothing);
    EXPECT_EQ(decide(last, our_fence, not_live).kind, Kind::half_done);
    EXPECT_EQ(decide(last, no_fence, live_by_other).kind, Kind::half_done);
    EXPECT_EQ(decide(last, our_fence, live_by_us).kind, Kind::half_done);
  }
}

TEST(CutoverDecision, BeforeTheIntentItIsGivenUp) {
  for (Step step : {Step::guard, Step::prepare, Step::hold, Step::drain, Step::prove, Step::reverse}) {
    EXPECT_EQ(decide(at(step), no_fence, not_live).kind, Kind::abort);
    EXPECT_EQ(decide(at(step), our_fence, not_live).kind, Kind::half_done);
    EXPECT_EQ(decide(at(step), no_fence, live_by_us).kind, Kind::half_done);
  }
}

TEST(CutoverDecision, AnIntentIsWhatTheSourceSays) {
  EXPECT_EQ(decide(at(Step::intent), no_fence, not_live).kind, Kind::abort);
  auto on = decide(at(Step::intent), our_fence, not_live);
  EXPECT_EQ(on.kind, Kind::go_on);
  EXPECT_EQ(on.from, Step::open);
  EXPECT_EQ(decide(at(Step::intent), other_fence, not_live).kind, Kind::half_done);
  EXPECT_EQ(decide(at(Step::intent), our_fence, live_by_us).kind, Kind::half_done);
  EXPECT_EQ(decide(at(Step::intent), no_fence, live_by_us).kind, Kind::half_done);
}

TEST(CutoverDecision, FromOpenOnItRollsForward) {
  EXPECT_EQ(decide(at(Step::open), our_fence, not_live).from, Step::open);
  EXPECT_EQ(decide(at(Step::open), our_fence, live_by_us).from, Step::open);
  EXPECT_EQ(decide(at(Step::switching), our_fence, live_by_us).from, Step::switching);
  EXPECT_EQ(decide(at(Step::watch), our_fence, live_by_us).from, Step::watch);
  for (Step step : {Step::open, Step::switching, Step::watch}) {
    EXPECT_EQ(decide(at(step), no_fence, live_by_us).kind, Kind::half_done);
    EXPECT_EQ(decide(at(step), other_fence, live_by_us).kind, Kind::half_done);
    EXPECT_EQ(decide(at(step), our_fence, live_by_other).kind, Kind::half_done);
  }
  EXPECT_EQ(decide(at(Step::switching), our_fence, not_live).kind, Kind::half_done);
  EXPECT_EQ(decide(at(Step::watch), our_fence, not_live).kind, Kind::half_done);
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
