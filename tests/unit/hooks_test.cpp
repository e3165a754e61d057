// Hooks: what they are told, what becomes of one that fails, hangs or leaves children behind.
#include "replicator/cutover/hooks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "support/scratch.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class HooksTest : public ::testing::Test {
 protected:
  HooksTest() {
    settings_.dir = scratch_.file("hooks");
    std::filesystem::create_directory(settings_.dir);
    settings_.timeout = 20s;
  }
  void hook(const std::string& event, const std::string& script, int mode = 0700) {
    const auto file = settings_.dir / event;
    std::ofstream(file) << "#!/bin/sh\n" << script << "\n";
    chmod(file.c_str(), static_cast<mode_t>(mode));
  }
  bool run(const std::string& event) {
    Hooks hooks(settings_,
                [&](const std::string&, const std::string& outcome) { audit_.push_back(outcome); });
    trouble_.clear();
    return hooks.run(event, facts_, trouble_);
  }
  std::vector<std::string> findings() {
    std::vector<std::string> codes;
    for (const auto& finding : Hooks(settings_, {}).examine()) codes.push_back(finding.code);
    return codes;
  }
  static std::string read(const std::string& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  testing_support::Scratch scratch_;
  HookSettings settings_;
  HookFacts facts_{"forward", "run-1", "drain", "ann@host", "because", "app.db", "db.example", 12, 34.5};
  std::vector<std::string> audit_;
  std::string trouble_;
};

TEST_F(HooksTest, IsToldWhatHappensAndNoSecret) {
  setenv("SUPABASE_DB_URL", "postgresql://u:hunter2@h/d", 1);
  setenv("TIDEGATE_HOOK_ZONE", "example.test", 1);
  hook("on-switch", "env > " + scratch_.file("seen"));
  EXPECT_TRUE(run("on-switch"));
  const std::string seen = read(scratch_.file("seen"));
  for (const char* line :
       {"TIDEGATE_EVENT=on-switch\n", "TIDEGATE_DIRECTION=forward\n", "TIDEGATE_RUN_ID=run-1\n",
        "TIDEGATE_STEP=drain\n", "TIDEGATE_OWNER=ann@host\n", "TIDEGATE_REASON=because\n",
        "TIDEGATE_LAG_MS=12\n", "TIDEGATE_HOLD_MS=34.5\n", "TIDEGATE_AGAIN=no\n", "TIDEGATE_SOURCE=app.db\n",
        "TIDEGATE_TARGET=db.example\n", "TIDEGATE_HOOK_ZONE=example.test\n"})
    EXPECT_THAT(seen, HasSubstr(line));
  EXPECT_THAT(seen, Not(HasSubstr("hunter2")));
}

TEST_F(HooksTest, TheTimeWithinAHoldIsTheShorterLimit) {
  hook("on-drained", "echo $$ >> " + scratch_.file("ran") + "; exec sleep 60");
  settings_.policies["on-drained"] = HookPolicy::retry;
  const auto begun = std::chrono::steady_clock::now();
  const Hooks hooks(settings_, [](const std::string&, const std::string&) {});
  EXPECT_FALSE(hooks.run_within(std::chrono::milliseconds(200), "on-drained", facts_, trouble_));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  EXPECT_THAT(trouble_, HasSubstr("time limit"));
  const std::string ran = read(scratch_.file("ran"));
  EXPECT_EQ(std::count(ran.begin(), ran.end(), '\n'), 1);
}

TEST_F(HooksTest, OneThatIsNotThereIsNoTrouble) {
  EXPECT_TRUE(run("on-switch"));
  EXPECT_TRUE(trouble_.empty());
  EXPECT_TRUE(audit_.empty());
}

TEST_F(HooksTest, WhatItPrintsGoesToTheAudit) {
  hook("on-done", "echo out; echo err >&2");
  EXPECT_TRUE(run("on-done"));
  ASSERT_EQ(audit_.size(), 1U);
  EXPECT_THAT(audit_[0], HasSubstr("out\nerr"));
}

TEST_F(HooksTest, AFailureIsFatalToleratedOrRepeatedAsThePolicySays) {
  hook("before-fence", "exit 3");
  EXPECT_FALSE(run("before-fence"));
  EXPECT_THAT(trouble_, HasSubstr("ended with 3"));
  settings_.policies["before-fence"] = HookPolicy::warn;
  EXPECT_TRUE(run("before-fence"));
  EXPECT_FALSE(trouble_.empty());
  audit_.clear();
  hook("on-switch",
       "test -e " + scratch_.file("again") + " || { touch " + scratch_.file("again") + "; exit 1; }");
  EXPECT_TRUE(run("on-switch"));
  EXPECT_EQ(audit_.size(), 2U);
}

TEST_F(HooksTest, OneThatHangsIsEndedWithAllThatItStarted) {
  settings_.timeouts["before-fence"] = 300ms;
  hook("before-fence",
       "trap '' TERM; (trap '' TERM; sleep 60) & echo $! > " + scratch_.file("pid") + "; sleep 60");
  const auto began = std::chrono::steady_clock::now();
  EXPECT_FALSE(run("before-fence"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
  EXPECT_THAT(trouble_, HasSubstr("time limit"));
  std::string pid = read(scratch_.file("pid"));
  pid.erase(pid.find_last_not_of('\n') + 1);
  for (int i = 0; i < 100 && std::filesystem::exists("/proc/" + pid); ++i) {
    std::ifstream stat("/proc/" + pid + "/stat");
    std::string line;
    std::getline(stat, line);
    if (line.find(") Z ") != std::string::npos) return;  // dead, and not yet reaped by whoever took it over
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_FALSE(std::filesystem::exists("/proc/" + pid));
}

TEST_F(HooksTest, OneThatLeavesAServerBehindIsNotWaitedFor) {
  hook("on-done", "sleep 5 &");
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(run("on-done"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 4s);
  EXPECT_THAT(audit_.at(0), HasSubstr("left a program behind"));
}

TEST_F(HooksTest, AServerWithItsOutputElsewhereIsNoTrouble) {
  hook("on-done", "sleep 5 > /dev/null 2>&1 &");
  EXPECT_TRUE(run("on-done"));
  EXPECT_THAT(audit_.at(0), Not(HasSubstr("left a program behind")));
}

TEST_F(HooksTest, SecretsThatItPrintsAreKeptFromTheAudit) {
  hook("on-done", "echo postgres://u:hunter2@h/db; echo PGPASSWORD=hunter2");
  EXPECT_TRUE(run("on-done"));
  EXPECT_THAT(audit_.at(0), HasSubstr("postgres://u:***@h/db"));
  EXPECT_THAT(audit_.at(0), Not(HasSubstr("hunter2")));
  hook("on-done", "head -c 16370 /dev/zero | tr '\\0' ' '; echo postgres://u:hunter2@h/db");
  EXPECT_TRUE(run("on-done"));
  EXPECT_THAT(audit_.at(1), Not(HasSubstr("hun")));
}

TEST_F(HooksTest, MuchOutputIsCutAndHoldsUpNobody) {
  hook("on-done", "head -c 3000000 /dev/zero | tr '\\0' 'x'");
  EXPECT_TRUE(run("on-done"));
  EXPECT_LT(audit_.at(0).size(), 20000U);
}

TEST_F(HooksTest, WhatCannotBeRunOrIsNotSafeIsFound) {
  EXPECT_TRUE(findings().empty());
  hook("on-switch", "true", 0600);
  EXPECT_THAT(findings(), ::testing::ElementsAre("hook-not-executable"));
  hook("on-switch", "true", 0777);
  EXPECT_THAT(findings(), ::testing::ElementsAre("hook-not-safe"));
  settings_.dir = scratch_.file("nowhere");
  EXPECT_THAT(findings(), ::testing::ElementsAre("hooks-missing"));
}

TEST_F(HooksTest, ALinkThatLeadsNowhereBlocksAndFails) {
  std::filesystem::create_symlink("/nonexistent/haproxy", settings_.dir / "verify-switch");
  EXPECT_THAT(findings(), ::testing::ElementsAre("hook-not-executable"));
  EXPECT_FALSE(run("verify-switch"));
  EXPECT_THAT(trouble_, HasSubstr("could not be started"));
}

TEST_F(HooksTest, AFileThatIsNearlyNamedAfterAnEventIsNeverRun) {
  hook("on_switch.sh", "true", 0600);
  EXPECT_THAT(findings(), ::testing::ElementsAre("hook-never-run"));
  hook("on-swich", "true");
  hook("rollback", "true");
  EXPECT_THAT(findings(), ::testing::ElementsAre("hook-never-run", "hook-never-run", "hook-never-run"));
}

TEST_F(HooksTest, WhatHooksAreMadeOfIsNoTrouble) {
  for (const char* name : {"haproxy", "dns", "cloudflare", "route53", "env-file", "nginx", "pgbouncer"})
    hook(name, "true");
  hook("Check.sh", "true");
  std::filesystem::create_symlink("Check.sh", settings_.dir / "check");
  std::ofstream(settings_.dir / "haproxy.conf") << "x\n";
  std::ofstream(settings_.dir / "on-switch.conf") << "x\n";
  EXPECT_THAT(findings(), ::testing::ElementsAre());
}

TEST_F(HooksTest, ARunSaysWhichHooksItFindsAndThatNoneMovesTheTraffic) {
  const auto plan = [&](const char* direction) {
    std::string text;
    for (const auto& finding : Hooks(settings_, {}).plan(direction))
      text += finding.code + " " + finding.message + "\n";
    return text;
  };
  EXPECT_THAT(plan("forward"), HasSubstr("hook-no-switch"));
  hook("on-rollback", "true");
  hook("on-hold", "true");
  EXPECT_EQ(plan("backward"), "hooks hooks are there for these events: on-hold, on-rollback\n");
  EXPECT_THAT(plan("forward"), HasSubstr("events: on-hold\nhook-no-switch"));
  hook("on-switch", "true");
  EXPECT_EQ(plan("forward"), "hooks hooks are there for these events: on-hold, on-switch\n");
  EXPECT_EQ(plan("backward"), "hooks hooks are there for these events: on-hold, on-rollback\n");
}

TEST_F(HooksTest, AFileThatIsNoProgramIsToldAndNotThrown) {
  std::ofstream(settings_.dir / "before-fence") << "\x7f"
                                                   "ELF nonsense";
  chmod((settings_.dir / "before-fence").c_str(), 0700);
  EXPECT_FALSE(run("before-fence"));
  EXPECT_FALSE(trouble_.empty());
}

}  // namespace
}  // namespace tidegate::cutover
