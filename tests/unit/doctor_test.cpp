#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <fstream>

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
  facts.checks_certificate = true;
  return facts;
}

std::vector<std::string> codes(const TargetServerFacts& facts, bool wants_way_back = true) {
  std::vector<std::string> codes;
  for (const auto& finding : findings_of(facts, wants_way_back)) codes.push_back(finding.code);
  return codes;
}

TEST(TargetServer, ASoundOneHasNoFinding) {
  EXPECT_THAT(codes(sound()), IsEmpty());
}

TEST(TargetServer, EachFaultIsTold) {
  auto facts = sound();
  facts.encoding = "SQL_ASCII";
  facts.clock_ahead = -30;
  facts.behind_pooler = true;
  facts.checks_certificate = false;
  facts.backup_obstacle = "there is none";
  EXPECT_THAT(codes(facts), ElementsAre("target-encoding", "clock-differs", "behind-pooler",
                                        "tls-not-verified", "no-backup-tool"));
  facts.is_local = true;
  facts.clock_ahead = 4;
  EXPECT_THAT(codes(facts), ElementsAre("target-encoding", "behind-pooler", "no-backup-tool"));
}

TEST(TargetServer, TheWayBackAsksForMore) {
  for (int fault = 0; fault < 4; ++fault) {
    auto facts = sound();
    if (fault == 0) facts.server.wal_level = "replica";
    if (fault == 1) facts.server.slots_used = 5;
    if (fault == 2) facts.server.senders_used = 5;
    if (fault == 3) facts.may_replicate = false;
    EXPECT_THAT(codes(facts), ElementsAre("no-way-back-yet")) << fault;
    EXPECT_THAT(codes(facts, false), IsEmpty());
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
