#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <fstream>

#include "replicator/doctor/hold_time.hpp"
#include "replicator/doctor/live_side.hpp"
#include "replicator/doctor/server_link.hpp"
#include "replicator/doctor/target_server.hpp"
#include "replicator/doctor/volume.hpp"
#include "support/scratch.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TargetServerFacts sound() {
  TargetServerFacts facts;
  facts.server.version = 150000;
  facts.server.wal_level = "logical";
  facts.server.slots_max = facts.server.senders_max = 5;
  facts.encoding = "UTF8";
  facts.may_replicate = true;
  return facts;
}

std::vector<std::string> codes(const TargetServerFacts& facts) {
  std::vector<std::string> codes;
  for (const auto& finding : findings_of(facts)) codes.push_back(finding.code);
  return codes;
}

TEST(TargetServer, ASoundOneHasNoFinding) {
  EXPECT_THAT(codes(sound()), ElementsAre("way-back-slot-limit"));
}

TEST(TargetServer, EachFaultIsTold) {
  auto facts = sound();
  facts.encoding = "SQL_ASCII";
  facts.backup_obstacle = "there is none";
  EXPECT_THAT(codes(facts), ElementsAre("target-encoding", "no-backup-tool", "way-back-slot-limit"));
}

std::vector<std::string> codes(const ServerLink& link) {
  std::vector<std::string> codes;
  for (const auto& finding : findings_of(link, "source")) codes.push_back(finding.code);
  return codes;
}

TEST(Link, EachFaultIsTold) {
  ServerLink link;
  link.encrypted = link.checks_certificate = true;
  EXPECT_THAT(codes(link), IsEmpty());
  link.clock_ahead = -30;
  link.behind_pooler = true;
  link.checks_certificate = false;
  EXPECT_THAT(codes(link), ElementsAre("clock-differs", "behind-pooler", "tls-not-verified"));
  link.encrypted = false;
  EXPECT_THAT(codes(link), ElementsAre("no-tls", "clock-differs", "behind-pooler"));
  EXPECT_EQ(findings_of(link, "source").front().level, Finding::Level::block);
  link.is_local = true;
  link.clock_ahead = 4;
  EXPECT_THAT(codes(link), ElementsAre("no-tls", "behind-pooler"));
  EXPECT_EQ(findings_of(link, "source").front().level, Finding::Level::note);
}

CompareTime compare_of(std::uint64_t rows, double seconds, bool whole) {
  CompareTime time;
  time.table = "visit";
  time.rows = rows;
  time.took = std::chrono::duration<double>(seconds);
  time.whole = whole;
  return time;
}

TEST(HoldTime, ATableWithoutRowidMustFitIntoHalfOfTheHold) {
  const auto codes = [](const std::vector<CompareTime>& times) {
    std::vector<std::string> codes;
    for (const auto& finding : hold_findings(times, std::chrono::milliseconds(500)))
      codes.push_back(finding.code);
    return codes;
  };
  EXPECT_THAT(codes({}), IsEmpty());
  EXPECT_THAT(codes({compare_of(9'000'000, 9, false)}), ElementsAre("hold-compare"));
  EXPECT_THAT(codes({compare_of(200'000, 0.24, true)}), ElementsAre("hold-compare"));
  EXPECT_THAT(codes({compare_of(300'000, 0.26, true)}),
              ElementsAre("table-too-big-for-hold", "hold-compare"));
}

TEST(HoldTime, WhereTheCompareIsMadeIsSaid) {
  const auto said = [](double seconds) {
    return hold_findings({compare_of(9, seconds, false)}, std::chrono::milliseconds(500)).front().message;
  };
  EXPECT_THAT(said(0.12), testing::HasSubstr("while the application's writers wait"));
  EXPECT_THAT(said(0.13), testing::HasSubstr("just before they wait"));
}

TEST(LiveSide, SaysWhatAStartWouldMakeOfIt) {
  using cutover::Step;
  const auto found = [](const LiveSideFacts& facts) {
    const auto findings = findings_of(facts);
    return findings.empty()
               ? std::string()
               : findings.front().code + (findings.front().level == Finding::Level::block ? "!" : "");
  };
  LiveSideFacts facts;
  EXPECT_EQ(found(facts), "");
  facts.source = {false, "r1"};
  EXPECT_EQ(found(facts), "half-done!") << "another state directory, or one that was lost";
  facts.target = {true, "r1"};
  EXPECT_EQ(found(facts), "half-done!");
  EXPECT_THAT(findings_of(facts).front().message,
              testing::HasSubstr("the target is the live side since run r1"));
  EXPECT_THAT(findings_of(facts).front().mend, testing::HasSubstr("replicator-lost"));
  facts.has_journal = true;
  facts.last = facts.settled = cutover::Run();
  facts.last->id = facts.settled->id = "r1";
  facts.last->step = facts.settled->step = Step::watch;
  EXPECT_EQ(found(facts), "target-live");
  facts.last->id = "r2";
  facts.last->mode = cutover::Mode::rollback;
  facts.last->step = Step::aborted;
  EXPECT_EQ(found(facts), "target-live") << "a rollback that was given up";
  facts.last->step = Step::drain;
  EXPECT_EQ(found(facts), "cutover-under-way");
  facts.last->step = Step::aborted;
  facts.source = {true, ""};
  EXPECT_EQ(found(facts), "half-done!") << "the fence is gone";
  EXPECT_THAT(findings_of(facts).front().mend, testing::HasSubstr("explain half-done"));
}

TEST(TargetServer, AnOlderOneThanTheSourceIsTold) {
  EXPECT_THAT(version_findings(150004, 150014), IsEmpty());
  EXPECT_EQ(version_findings(170002, 150014).front().code, "target-older-than-source");
  EXPECT_EQ(version_findings(150014, 170002).front().code, "target-newer-than-source");
  EXPECT_EQ(version_findings(150014, 170002).front().level, Finding::Level::note);
}

TEST(TargetServer, TheWayBackAsksForMore) {
  for (int fault = 0; fault < 4; ++fault) {
    auto facts = sound();
    if (fault == 0) facts.server.wal_level = "replica";
    if (fault == 1) facts.server.slots_used = 5;
    if (fault == 2) facts.server.senders_used = 5;
    if (fault == 3) facts.may_replicate = false;
    EXPECT_THAT(codes(facts), ElementsAre("no-way-back-yet")) << fault;
  }
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text << "\n";
}

TEST(Volume, LuksIsFoundBelowLvmAndElsewhereNot) {
  const testing_support::Scratch scratch;
  const std::filesystem::path sys = scratch.file("sys");
  EXPECT_FALSE(is_encrypted(makedev(8, 1), sys).has_value());
  write(sys / "dev/block/8:1/size", "1");
  EXPECT_EQ(is_encrypted(makedev(8, 1), sys), false);
  write(sys / "dev/block/253:0/dm/uuid", "LVM-abc");
  write(sys / "dev/block/253:0/slaves/dm-1/dm/uuid", "CRYPT-LUKS2-abc");
  EXPECT_EQ(is_encrypted(makedev(253, 0), sys), true);
  write(sys / "dev/block/253:2/dm/uuid", "CRYPT-LUKS2-abc");
  EXPECT_EQ(is_encrypted(makedev(253, 2), sys), true);
}

}  // namespace
}  // namespace tidegate
