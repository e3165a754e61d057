// Rows of tables with a key beside the rowid, wherever the application moves them: after each cut the shadow
// is the live file, rowids included, and so is what a reader of the journal has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/capture_rig.hpp"
#include "support/random_app.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using testing_support::CaptureRig;
using testing_support::RandomApp;
using testing_support::Replica;
using testing_support::Seeded;

// All of both sides, however the cut before came to where it looked.
void expect_shadow_is_live(CaptureRig& rig, const std::string& when) {
  for (const auto& table : rig.capture().tables()) {
    auto live = rig.app().prepare(table.select_live(ShadowTable::Rows::all));
    auto shadow = rig.state().prepare(table.select_shadow(ShadowTable::Rows::all));
    PlacedRow wanted, is;
    std::uint64_t row = 0;
    for (; live.step(); ++row) {
      ASSERT_TRUE(shadow.step()) << table.source().name << " lacks row " << row << " " << when;
      table.read(live, wanted);
      table.read(shadow, is);
      ASSERT_TRUE(identical(is.row, wanted.row))
          << table.source().create_sql << " row " << row << " " << when;
      ASSERT_EQ(is.rowid, wanted.rowid) << table.source().create_sql << " row " << row << " " << when;
    }
    ASSERT_FALSE(shadow.step()) << table.source().name << " has more than " << row << " rows " << when;
  }
}

void expect_replica_is_live(CaptureRig& rig, Replica& replica) {
  for (const auto& table : rig.capture().tables()) {
    const std::string& name = table.source().name;
    testing_support::expect_same_rows(replica.table(name), testing_support::live_rows(rig.app(), table),
                                      name);
  }
}

struct Counts {
  int cuts = 0, narrowed = 0;
};

void follow_random_app(Seeded& random, Counts& counts) {
  std::string page_size = std::to_string(512 << random.below(4));
  CaptureRig rig("PRAGMA wal_autocheckpoint = " + std::to_string(random.below(200)),
                 "PRAGMA page_size = " + page_size);
  RandomApp app(rig.app(), random.bits(), RandomApp::Drops::never);
  app.create_schema();
  rig.fill();
  Replica replica;
  for (const auto& table : rig.capture().tables()) {
    replica.table(table.source().name) = testing_support::live_rows(rig.app(), table);
  }
  for (int i = 0; i < 40 && !testing::Test::HasFailure(); ++i) {
    for (auto actions = random.below(4); actions > 0; --actions) app.act();
    if (random.one_in(15)) rig.app().execute("VACUUM");
    if (random.one_in(30)) rig.restart();
    SqliteCapture::Cut told;
    replica.take(rig.cut(&told));
    ++counts.cuts;
    counts.narrowed += told.everything_because.empty() && told.changed;
    expect_shadow_is_live(rig, "after cut " + std::to_string(i));
    expect_replica_is_live(rig, replica);
  }
}

TEST(MovingRows, ARandomAppIsFollowed) {
  Seeded random;
  std::cout << random.told() << "\n";
  SCOPED_TRACE(random.told());
  Counts counts;
  for (int run = Seeded::rounds(4); run > 0 && !HasFailure(); --run) follow_random_app(random, counts);
  std::cout << counts.cuts << " cuts, " << counts.narrowed << " with changes and narrowed\n";
  EXPECT_GT(counts.narrowed, counts.cuts / 4);
}

// A table of two thousand rows on many pages, and what the application does to it between two cuts.
class MovedRows : public testing::Test {
 protected:
  void SetUp() override {
    rig_.fill();
    rig_.cut();
  }
  // How many changes come out, having looked at less than the whole.
  std::size_t after(const std::string& dml) {
    rig_.app().execute(dml);
    SqliteCapture::Cut told;
    auto parts = rig_.cut(&told);
    EXPECT_TRUE(told.everything_because.empty()) << told.everything_because;
    EXPECT_LT(told.rows_compared, 1000u) << dml;
    expect_shadow_is_live(rig_, dml);
    std::size_t changes = 0;
    for (const auto& part : parts) changes += part.changes.size();
    return changes;
  }
  CaptureRig rig_{
      "CREATE TABLE t(v, k TEXT NOT NULL PRIMARY KEY);"
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
      " INSERT INTO t SELECT hex(zeroblob(40)), 'k' || (i * 7919 % 2000) FROM n"};
};

TEST_F(MovedRows, OneRowIsLookedForByItsPages) {
  EXPECT_EQ(after("UPDATE t SET v = 1 WHERE k = 'k5'"), 1u);
  EXPECT_EQ(after("DELETE FROM t WHERE k = 'k6'"), 1u);
  EXPECT_EQ(after("INSERT INTO t(k) VALUES ('new')"), 1u);
  EXPECT_EQ(after("UPDATE t SET k = 'other' WHERE k = 'k7'"), 2u);
}

TEST_F(MovedRows, ANewRowidIsNoEvent) {
  EXPECT_EQ(after("UPDATE t SET rowid = 9000 WHERE rowid = 70"), 0u);
  EXPECT_EQ(after("UPDATE t SET rowid = 9001, v = 2 WHERE rowid = 9000"), 1u);
  EXPECT_EQ(after("REPLACE INTO t SELECT v, k FROM t WHERE rowid = 80"), 0u);
}

TEST_F(MovedRows, RowsThatExchangeTheirRowids) {
  EXPECT_EQ(after("UPDATE t SET rowid = -rowid WHERE rowid IN (5, 1500);"
                  "UPDATE t SET rowid = 1505 + rowid WHERE rowid < 0"),
            0u);
  EXPECT_EQ(after("UPDATE t SET rowid = -1 WHERE rowid = 5; UPDATE t SET rowid = 5 WHERE rowid = 1500;"
                  "UPDATE t SET rowid = 1500, v = 'x' WHERE rowid = -1"),
            1u);
}

TEST_F(MovedRows, ARowidIsGivenToAnotherKey) {
  EXPECT_EQ(after("DELETE FROM t WHERE rowid = 2000; INSERT INTO t VALUES (1, 'new')"), 2u);
  EXPECT_EQ(after("DELETE FROM t WHERE rowid = 2000; UPDATE t SET rowid = 2000 WHERE rowid = 3"), 1u);
}

// Today's VACUUM numbers only rows of tables without any index again; another may number these.
TEST_F(MovedRows, VacuumMayNumberRowsAgain) {
  rig_.app().execute("BEGIN; UPDATE t SET rowid = -rowid; UPDATE t SET rowid = 2001 + rowid; COMMIT; VACUUM");
  EXPECT_THAT(rig_.cut(), IsEmpty());
  expect_shadow_is_live(rig_, "after VACUUM");
  EXPECT_EQ(after("DELETE FROM t WHERE rowid = 5; INSERT INTO t VALUES (1, 'new')"), 2u);
}

// What a crash leaves behind a renumbering is brought forward by the compare at the next start.
TEST_F(MovedRows, ARestartComparesRowidsAsWell) {
  rig_.app().execute("UPDATE t SET rowid = rowid + 5000");
  rig_.restart();
  EXPECT_THAT(rig_.cut(), IsEmpty());
  expect_shadow_is_live(rig_, "after a restart");
  EXPECT_EQ(after("UPDATE t SET v = 3 WHERE rowid = 5005"), 1u);
}

TEST(MovingRowsOf, ATableWithoutANameForItsRowidIsComparedWhole) {
  CaptureRig rig(
      "CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, rowid, oid, _rowid_); INSERT INTO t VALUES ('a', 1, 2, "
      "3)");
  rig.fill();
  rig.cut();
  rig.app().execute("UPDATE t SET oid = 7; INSERT INTO t VALUES ('b', 1, 2, 3)");
  auto parts = rig.cut();
  ASSERT_THAT(parts, SizeIs(1));
  EXPECT_THAT(parts[0].changes, SizeIs(2));
  EXPECT_THAT(rig.cut(), IsEmpty());
}

// A column may take the last name of the rowid later.
TEST(MovingRowsOf, ATableMayLoseTheNameOfItsRowid) {
  CaptureRig rig(
      "CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, oid, _rowid_); INSERT INTO t VALUES ('a', 1, 2)");
  rig.fill();
  rig.cut();
  rig.app().execute("ALTER TABLE t ADD COLUMN rowid DEFAULT 5");
  rig.cut();
  expect_shadow_is_live(rig, "after ADD COLUMN");
  rig.app().execute("UPDATE t SET rowid = 6");
  EXPECT_THAT(rig.cut(), SizeIs(1));
  expect_shadow_is_live(rig, "after UPDATE");
}

}  // namespace
}  // namespace tidegate
