#include "replicator/doctor/postgres_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "replicator/doctor/legacy_return.hpp"

namespace tidegate {
namespace {

using testing::Contains;
using testing::HasSubstr;
using Level = Finding::Level;

// A source about which there is nothing to say but how long tidegate may be away.
PostgresSourceFacts healthy() {
  PostgresSourceFacts facts;
  facts.server = {150018, "logical", std::int64_t{4} << 30, 0, 5, 0, 5, false};
  capture::PostgresTable table;
  table.schema = "public";
  table.name = "t";
  table.source = "public.t";
  table.primary_key = table.identity = {"id"};
  table.owned = true;
  facts.tables = {table};
  facts.encoding = "UTF8";
  facts.may_replicate = facts.may_create = true;
  return facts;
}

std::vector<std::string> told(const PostgresSourceFacts& facts, const PostgresSourceConsent& consent = {}) {
  std::vector<std::string> lines;
  for (const auto& one : findings_of(facts, consent)) {
    const char* level = one.level == Level::block ? "block " : one.level == Level::warn ? "warn " : "note ";
    lines.push_back(level + one.code);
  }
  return lines;
}

TEST(PostgresSourceDoctor, AHealthySourceBlocksNothing) {
  EXPECT_THAT(told(healthy()), testing::ElementsAre("note slot-limit"));
}

TEST(PostgresSourceDoctor, EachTroubleHasAFinding) {
  struct Case {
    const char* said;
    std::function<void(PostgresSourceFacts&)> make;
  };
  const Case cases[] = {
      {"block source-server-too-old", [](auto& f) { f.server.version = 130012; }},
      {"block source-is-standby", [](auto& f) { f.server.is_standby = true; }},
      {"block wal-level", [](auto& f) { f.server.wal_level = "replica"; }},
      {"block no-free-slot", [](auto& f) { f.server.slots_used = 4; }},
      {"block no-free-wal-sender", [](auto& f) { f.server.senders_used = 4; }},
      {"block slot-without-limit", [](auto& f) { f.server.max_slot_wal_keep_size = -1; }},
      {"block no-replication-right", [](auto& f) { f.may_replicate = false; }},
      {"block no-create-publication", [](auto& f) { f.may_create = false; }},
      {"block publication-not-ours", [](auto& f) { f.publication = capture::PublicationState{}; }},
      {"block table-not-readable", [](auto& f) { f.unreadable = {"public.t"}; }},
      {"block row-security-hides-rows", [](auto& f) { f.row_security = {"public.t"}; }},
      {"block no-tables", [](auto& f) { f.tables.clear(); }},
      {"block not-table-owner", [](auto& f) { f.tables[0].owned = false; }},
      {"block no-replica-identity", [](auto& f) { f.tables[0].identity.clear(); }},
      {"block foreign-partition", [](auto& f) { f.tables[0].foreign_partitions = {"public.p"}; }},
      {"warn unlogged-table",
       [](auto& f) {
         f.not_carried = {{"unlogged table", "public.u", ""}};
       }},
      {"warn not-carried",
       [](auto& f) {
         f.not_carried = {{"unmatched pattern", "u*", ""}};
       }},
      {"warn sql-ascii", [](auto& f) { f.encoding = "SQL_ASCII"; }},
      {"warn prepared-transaction",
       [](auto& f) {
         f.old = {{0, "gid", "", "app", 1}};
       }},
      {"warn long-transaction",
       [](auto& f) {
         f.old = {{77, "", "report", "app", 61}};
       }},
      {"warn large-objects", [](auto& f) { f.large_objects = 3; }},
      {"note sequences-not-streamed",
       [](auto& f) {
         f.tables[0].sequences = {{"public", "s", "id"}};
       }},
  };
  for (const auto& each : cases) {
    auto facts = healthy();
    each.make(facts);
    EXPECT_THAT(told(facts), Contains(each.said));
    if (facts.server.max_slot_wal_keep_size >= 0) {
      EXPECT_EQ(told(facts).size(), 2u) << each.said;
    }
  }
}

TEST(PostgresSourceDoctor, ConsentTurnsABlockIntoAWarning) {
  auto facts = healthy();
  facts.server.max_slot_wal_keep_size = -1;
  facts.tables[0].identity.clear();
  EXPECT_THAT(told(facts, {true, true}),
              testing::ElementsAre("warn slot-without-limit", "warn no-replica-identity"));
}

TEST(PostgresSourceDoctor, OnlyWhatIsNeededIsAskedFor) {
  auto facts = healthy();
  facts.has_slot = true;  // it counts as taken
  facts.server.slots_used = 4;
  facts.server.senders_used = 4;
  facts.may_create = false;
  facts.publication = capture::PublicationState{};
  facts.publication->ours = true;
  facts.old = {{77, "", "app", "app", 59}};
  EXPECT_THAT(told(facts), testing::ElementsAre("note slot-limit"));
}

TEST(PostgresSourceDoctor, TheSentencesSayWhatToRunAndForHowLong) {
  auto facts = healthy();
  facts.wal_bytes_per_hour = std::uint64_t{1} << 30;
  EXPECT_THAT(findings_of(facts, {})[0].message, HasSubstr("about 4.0 hours"));
  facts.server.max_slot_wal_keep_size = -1;
  EXPECT_THAT(findings_of(facts, {false, false, std::uint64_t{6} << 30})[0].message,
              HasSubstr("6.0 GiB of [source] wal_room"));
  EXPECT_THAT(findings_of(facts, {false, false, std::uint64_t{6} << 30})[0].message, HasSubstr("6.0 hours"));
  facts.tables[0].identity.clear();
  facts.tables[0].deferrable_key = true;
  for (const auto& one : findings_of(facts, {})) {
    if (one.code != "no-replica-identity") continue;
    EXPECT_THAT(one.mend, HasSubstr("ALTER TABLE ONLY \"public\".\"t\" REPLICA IDENTITY FULL;"));
    EXPECT_THAT(one.message, HasSubstr("DEFERRABLE"));
    EXPECT_EQ(one.table, "public.t");
  }
}

TEST(PostgresSourceDoctor, TheWayBackWarnsOfWhatACutoverWouldRefuse) {
  const LegacyReturnFacts sound{true, true, {}, {}};
  EXPECT_THAT(findings_of(sound), testing::IsEmpty());
  LegacyReturnFacts facts{false, false, {"public.t"}, {"public.t.audit"}};
  std::vector<std::string> codes;
  for (const auto& one : findings_of(facts)) {
    EXPECT_EQ(one.level, Level::warn);
    codes.push_back(one.code);
  }
  EXPECT_THAT(codes, testing::ElementsAre("legacy-not-writable", "legacy-not-writable",
                                          "source-not-fenceable", "legacy-trigger-always"));
}

}  // namespace
}  // namespace tidegate
