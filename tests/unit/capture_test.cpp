// Shadow, compare, recorder and capture together, against real files.
#include "capture/sqlite/capture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "support/capture_rig.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing_support::CaptureRig;
using testing_support::live_rows;
using testing_support::Replica;
using namespace std::string_literals;

Value integer(std::int64_t value) {
  return value;
}

std::vector<Change> changes_of(const std::vector<TransactionPart>& parts) {
  std::vector<Change> all;
  for (const auto& part : parts) all.insert(all.end(), part.changes.begin(), part.changes.end());
  return all;
}

// The message of what `work` throws, or "".
template <typename Thrown, typename Work>
std::string refusal(Work work) {
  try {
    work();
  } catch (const Thrown& thrown) {
    return thrown.what();
  }
  return "";
}

TEST(Capture, FillsOnceFromOneSnapshotAndMeasures) {
  CaptureRig rig(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, NULL), (3, 4.5)");
  EXPECT_FALSE(rig.capture().filled());
  std::vector<std::pair<std::string, std::uint64_t>> heard;
  const auto hear = [&](const std::string& table, std::uint64_t rows) { heard.emplace_back(table, rows); };
  auto filled = rig.capture().begin_fill(hear);
  EXPECT_EQ(heard.back(), std::make_pair("t"s, std::uint64_t{3}));
  heard.clear();
  EXPECT_FALSE(rig.capture().filled());
  rig.capture().fill(hear);
  EXPECT_TRUE(rig.capture().filled());
  ASSERT_THAT(filled, SizeIs(1));
  EXPECT_EQ(filled[0].measure.rows, 3u);
  EXPECT_EQ(filled[0].measure.columns.at(1).nulls, 1u);
  EXPECT_EQ(filled[0].measure.columns.at(1).texts, 1u);
  EXPECT_EQ(heard.back(), std::make_pair("t"s, std::uint64_t{3}));
  EXPECT_THAT(rig.cut(), IsEmpty());
  rig.restart();
  EXPECT_TRUE(rig.capture().filled());
  EXPECT_THAT(rig.cut(), IsEmpty());
}

TEST(Capture, InsertUpdateAndDeleteAreWholeRows) {
  CaptureRig rig(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c); INSERT INTO t VALUES (1, 1, 'b', 'c'), (2, 2, 2, 2)");
  rig.fill();
  rig.app().execute(
      "BEGIN; INSERT INTO t VALUES (3, x'00', NULL, 1.5); UPDATE t SET b = 'B', c = NULL WHERE id = 1;"
      "DELETE FROM t WHERE id = 2; COMMIT");
  auto parts = rig.cut();
  ASSERT_THAT(parts, SizeIs(1));
  EXPECT_TRUE(parts[0].first && parts[0].last);
  EXPECT_GT(parts[0].commit_time_us, 1600000000000000);
  EXPECT_THAT(parts[0].relations, ElementsAre(Relation{1, "t", {"id", "a", "b", "c"}, {0}}));
  EXPECT_THAT(parts[0].changes,
              testing::UnorderedElementsAre(
                  Change{Operation::insert, 1, {integer(3), Blob{"\0"s}, Null{}, 1.5}, {}, {}},
                  Change{Operation::update, 1, {integer(1), integer(1), "B"s, Null{}}, {2, 3}, {"b"s, "c"s}},
                  Change{Operation::remove, 1, {integer(2), integer(2), integer(2), integer(2)}, {}, {}}));
}

TEST(Capture, ACutWithoutChangesWritesNothing) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1)");
  rig.fill();
  auto before = rig.state_digest();
  rig.app().execute(
      "UPDATE t SET a = 2; UPDATE t SET a = 1; INSERT INTO t VALUES (2, 2); DELETE FROM t WHERE id = 2");
  EXPECT_TRUE(rig.capture().source_moved());
  EXPECT_THAT(rig.cut(), IsEmpty());
  EXPECT_FALSE(rig.capture().source_moved());
  EXPECT_EQ(rig.state_digest(), before);
}

TEST(Capture, NoticesCommitsOfOthers) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  rig.fill();
  rig.cut();
  EXPECT_FALSE(rig.capture().source_moved());
  rig.app().execute("INSERT INTO t VALUES (1)");
  EXPECT_TRUE(rig.capture().source_moved());
  rig.cut();
  EXPECT_FALSE(rig.capture().source_moved());
}

// One table of each way in which rows are told apart; `dml` is what the application does.
class Keys : public testing::Test {
 protected:
  std::vector<Change> after(const std::string& schema, const std::string& dml) {
    rig_ = std::make_unique<CaptureRig>(schema);
    rig_->fill();
    Replica replica;
    const ShadowTable table = rig_->capture().tables().at(0);
    replica.table(table.source().name) = live_rows(rig_->app(), table);
    rig_->app().execute(dml);
    auto parts = rig_->cut();
    replica.take(parts);
    testing_support::expect_same_rows(replica.table(table.source().name), live_rows(rig_->app(), table),
                                      schema);
    EXPECT_THAT(rig_->cut(), IsEmpty()) << "a difference that does not end";
    return changes_of(parts);
  }
  std::unique_ptr<CaptureRig> rig_;
};

TEST_F(Keys, ANoCaseKeyChangesItsCase) {
  auto changes = after(
      "CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, v) WITHOUT ROWID;"
      "INSERT INTO t VALUES ('a', 1), ('B', 2), ('c', 3)",
      "UPDATE t SET k = 'A' WHERE k = 'a'");
  EXPECT_THAT(changes,
              testing::UnorderedElementsAre(Change{Operation::remove, 1, {"a"s, integer(1)}, {}, {}},
                                            Change{Operation::insert, 1, {"A"s, integer(1)}, {}, {}}));
}

TEST_F(Keys, ANumberKeyChangesItsClassOnly) {
  after(
      "CREATE TABLE t(k NOT NULL, v, PRIMARY KEY (k)) WITHOUT ROWID; INSERT INTO t VALUES (1, 'x'), (2.0, "
      "'y')",
      "UPDATE t SET k = 1.0 WHERE k = 1; UPDATE t SET k = 2, v = 'z' WHERE k = 2");
}

TEST_F(Keys, TrailingBlanksUnderRtrimCount) {
  auto changes =
      after("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT COLLATE RTRIM); INSERT INTO t VALUES (1, 'a')",
            "UPDATE t SET v = 'a  '");
  EXPECT_THAT(changes, ElementsAre(Change{Operation::update, 1, {integer(1), "a  "s}, {1}, {"a"s}}));
}

TEST_F(Keys, ATableWithoutKeyIsToldApartByTheRowid) {
  auto changes =
      after("CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 1), (1, 1)",
            "DELETE FROM t WHERE rowid = 2; UPDATE t SET b = 2; INSERT INTO t(rowid, a) VALUES (9, 1)");
  EXPECT_THAT(changes,
              testing::UnorderedElementsAre(
                  Change{Operation::remove, 1, {integer(2), integer(1), integer(1)}, {}, {}},
                  Change{Operation::update, 1, {integer(1), integer(1), integer(2)}, {2}, {integer(1)}},
                  Change{Operation::insert, 1, {integer(9), integer(1), Null{}}, {}, {}}));
}

TEST_F(Keys, NullKeysAreToldApartByTheRowid) {
  auto changes =
      after("CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('a', 3)",
            "DELETE FROM t WHERE v = 1; UPDATE t SET v = 9 WHERE v = 2; UPDATE t SET k = 'b' WHERE v = 3");
  EXPECT_THAT(changes, SizeIs(3));
}

TEST_F(Keys, CompositeKeysInAnotherOrderThanTheirColumns) {
  auto changes = after(
      "CREATE TABLE t(v, b INTEGER NOT NULL, a TEXT NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID;"
      "INSERT INTO t VALUES (1, 2, 'x'), (2, 1, 'y'), (3, 1, 'x')",
      "UPDATE t SET b = 7 WHERE v = 3; UPDATE t SET v = 5 WHERE a = 'y'");
  EXPECT_THAT(changes, SizeIs(3));
  EXPECT_THAT(rig_->capture().tables().at(0).relation().key, ElementsAre(2, 1));
}

TEST_F(Keys, KeysOfEveryClassInOneTable) {
  after(
      "CREATE TABLE t(k NOT NULL, v, PRIMARY KEY (k)) WITHOUT ROWID;"
      "INSERT INTO t VALUES (1, 1), ('1', 2), (x'31', 3), (1e300, 4), ('', 5), (x'', 6), (9007199254740993, "
      "7)",
      "UPDATE t SET v = v + 10; INSERT INTO t VALUES (9007199254740992.0, 8), (-1e999, 9), (1e999, 10); "
      "DELETE FROM t WHERE v = 12");
}

TEST_F(Keys, EmptyKeyColumnsOnly) {
  auto changes =
      after("CREATE TABLE t(a INT NOT NULL, b INT NOT NULL, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, 1)",
            "INSERT INTO t VALUES (1, 2); DELETE FROM t WHERE b = 1");
  EXPECT_THAT(changes, SizeIs(2));
}

TEST_F(Keys, RowsThatExchangeTheirKeys) {
  after("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "UPDATE t SET id = -id; UPDATE t SET id = 3 + id");
}

TEST_F(Keys, VacuumMayNumberRowsAgain) {
  after("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2), (3), (4)", "DELETE FROM t WHERE a = 2; VACUUM");
}

TEST_F(Keys, GeneratedColumnsComeAsValues) {
  auto changes = after(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b AS (a * 2), c AS (a + 1) STORED); INSERT INTO t "
      "VALUES (1, 1)",
      "UPDATE t SET a = 5");
  EXPECT_THAT(changes, ElementsAre(Change{Operation::update,
                                          1,
                                          {integer(1), integer(5), integer(10), integer(6)},
                                          {1, 2, 3},
                                          {integer(1), integer(2), integer(2)}}));
}

TEST_F(Keys, OddValuesMakeNoEndlessDifference) {
  after("CREATE TABLE t(id INTEGER PRIMARY KEY, a, r REAL, s TEXT)",
        "INSERT INTO t VALUES (1, -0.0, -0.0, -0.0), (2, 1e999, -1e999, 1e999), (3, CAST(x'ff00c0' AS TEXT), "
        "'x', CAST(x'ff' AS TEXT)),"
        " (4, 'a' || char(0) || 'b', 1, char(0)), (5, x'', zeroblob(0), ''), (6, 9007199254740993, "
        "9007199254740993, 1),"
        " (7, 1e999 - 1e999, 2e-308, 5e-324)");
}

// SQLite's session takes 0.0 and -0.0 for equal.
TEST_F(Keys, AZeroThatOnlyChangesItsSignIsAChange) {
  auto changes = after("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, -0.0)",
                       "UPDATE t SET a = 0.0");
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_THAT(changes[0].changed, ElementsAre(1));
}

TEST(Capture, Utf16DatabasesReadLikeOthers) {
  for (const std::string encoding : {"UTF-16le", "UTF-16be"}) {
    CaptureRig rig("PRAGMA encoding = '" + encoding +
                   "'; CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v);"
                   "INSERT INTO t VALUES ('ä', 'Grüße'), (char(0xff5e), 1), (char(0x10000), 2)");
    ASSERT_EQ(rig.app().text("PRAGMA encoding"), encoding);
    rig.fill();
    Replica replica;
    const ShadowTable table = rig.capture().tables().at(0);
    replica.table("t") = live_rows(rig.app(), table);
    rig.app().execute(
        "UPDATE t SET v = 'é' || char(0x1f600); INSERT INTO t VALUES ('', NULL); DELETE FROM t WHERE k = "
        "'ä'");
    replica.take(rig.cut());
    testing_support::expect_same_rows(replica.table("t"), live_rows(rig.app(), table), encoding);
    EXPECT_THAT(rig.cut(), IsEmpty());
  }
}

TEST(Capture, ManyChangesAreSplitIntoParts) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE u(id INTEGER PRIMARY KEY, a)");
  rig.fill();
  rig.app().execute(
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 12000)"
      " INSERT INTO t SELECT i, zeroblob(1000) FROM n; INSERT INTO u VALUES (1, 1)");
  auto parts = rig.cut();
  ASSERT_GE(parts.size(), 3u);
  Replica replica;
  replica.take(parts);  // checks first and last
  EXPECT_EQ(replica.table("t").size(), 12000u);
  EXPECT_EQ(replica.table("u").size(), 1u);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].first, i == 0);
    EXPECT_EQ(parts[i].last, i + 1 == parts.size());
    EXPECT_EQ(parts[i].transaction, parts[0].transaction);
    EXPECT_EQ(parts[i].commit_time_us, parts[0].commit_time_us);
  }
  rig.app().execute("DELETE FROM u");
  EXPECT_EQ(rig.cut().at(0).transaction, parts[0].transaction + 1);
}

TEST(Capture, ANewTableComesWithItsRows) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  rig.fill();
  rig.app().execute("CREATE TABLE u(k TEXT PRIMARY KEY NOT NULL, v); INSERT INTO u VALUES ('a', 1)");
  auto parts = rig.cut();
  ASSERT_THAT(parts, SizeIs(2));
  ASSERT_TRUE(parts[0].schema_change);
  EXPECT_EQ(parts[0].schema_change->tables.at(0).name, "u");
  EXPECT_TRUE(parts[0].first && !parts[0].last && !parts[1].first && parts[1].last);
  EXPECT_EQ(parts[0].transaction, parts[1].transaction);
  EXPECT_THAT(changes_of(parts), ElementsAre(Change{Operation::insert, 2, {"a"s, integer(1)}, {}, {}}));
  EXPECT_THAT(rig.cut(), IsEmpty());
}

TEST(Capture, AnAddedColumnIsComparedInEveryRow) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1), (2, 2)");
  rig.fill();
  rig.app().execute(
      "ALTER TABLE t ADD COLUMN b DEFAULT 'x'; ALTER TABLE t ADD COLUMN c; UPDATE t SET c = 1 WHERE id = 2");
  auto changes = changes_of(rig.cut());
  EXPECT_THAT(
      changes,
      testing::UnorderedElementsAre(
          Change{Operation::update, 1, {integer(1), integer(1), "x"s, Null{}}, {2}, {Null{}}},
          Change{
              Operation::update, 1, {integer(2), integer(2), "x"s, integer(1)}, {2, 3}, {Null{}, Null{}}}));
  rig.restart();
  EXPECT_THAT(rig.cut(), IsEmpty());
}

TEST(Capture, NewFactsOfATableAreToldWithoutRows) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1)");
  rig.fill();
  rig.app().execute("CREATE UNIQUE INDEX ix ON t (a)");
  auto parts = rig.cut();
  ASSERT_THAT(parts, SizeIs(2));
  EXPECT_EQ(parts[0].schema_change->tables.at(0).indexes.at(0).name, "ix");
  EXPECT_THAT(changes_of(parts), IsEmpty());
  EXPECT_TRUE(parts[1].last);
}

TEST(Capture, OtherObjectsAreNoSchemaChange) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
  rig.fill();
  rig.app().execute("CREATE VIEW v AS SELECT 1; CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END");
  EXPECT_THAT(rig.cut(), IsEmpty());
}

TEST(Capture, IncompatibleSchemasNeedAnOperatorAndNothingMoves) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"ALTER TABLE t DROP COLUMN a", "dropped"},
      {"ALTER TABLE t RENAME COLUMN a TO z", "renamed"},
      {"ALTER TABLE t RENAME TO z", "dropped or renamed"},
      {"DROP TABLE t", "dropped or renamed"},
      {"DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b)", "another type"},
      {"DROP TABLE t; CREATE TABLE t(id INT, a, b)", "primary key"},
  };
  for (const auto& [ddl, words] : cases) {
    CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE TABLE u(id INTEGER PRIMARY KEY)");
    rig.fill();
    auto before = rig.state_digest();
    rig.app().execute("CREATE TABLE aaa(id INTEGER PRIMARY KEY); INSERT INTO u VALUES (1); " + ddl);
    for (int i = 0; i < 2; ++i) {
      EXPECT_THAT(refusal<SchemaNeedsOperator>([&] { rig.capture().cut(); }), HasSubstr(words)) << ddl;
      EXPECT_EQ(rig.state_digest(), before) << ddl;
    }
    rig.restart();
    EXPECT_THAT(refusal<SchemaNeedsOperator>([&] { rig.capture().cut(); }), HasSubstr(words)) << ddl;
    EXPECT_EQ(rig.state_digest(), before) << ddl;
  }
}

TEST(Capture, PausesAtSchemaChangesWhereToldTo) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  rig.fill();
  rig.options().carry_schema_changes = false;
  rig.restart();
  auto before = rig.state_digest();
  rig.app().execute("CREATE TABLE u(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
  EXPECT_THAT(refusal<SchemaNeedsOperator>([&] { rig.capture().cut(); }), HasSubstr("table u"));
  EXPECT_EQ(rig.state_digest(), before);
}

// Writes nowhere, and fails from the given append on.
class FailingOutbox : public Outbox {
 public:
  explicit FailingOutbox(int good) : good_(good) {}
  std::uint64_t append(const TransactionPart&) override {
    if (good_-- <= 0) throw Error("the disk is full", "SQLITE_FULL", Advice::stop);
    return 1;
  }

 private:
  int good_;
};

TEST(Capture, AFailedAppendLeavesShadowAndJournalAsTheyWere) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
  rig.fill();
  rig.app().execute("INSERT INTO t VALUES (1, 1)");
  rig.cut();
  auto before = rig.state_digest();
  rig.app().execute(
      "WITH RECURSIVE n(i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM n WHERE i < 12000) INSERT INTO t"
      " SELECT i, zeroblob(1000) FROM n; DELETE FROM t WHERE id = 1");
  for (int good : {0, 1}) {
    FailingOutbox outbox(good);
    rig.restart(&outbox);
    EXPECT_THROW(rig.capture().cut(), Error);
    EXPECT_EQ(rig.state_digest(), before);
    EXPECT_THROW(rig.capture().cut(), std::exception)
        << "the same object must not go on over the failure in silence";
    EXPECT_EQ(rig.state_digest(), before);
    rig.restart();
  }
  Replica replica;
  replica.take(rig.parts_after(0));
  replica.take(rig.cut());
  testing_support::expect_same_rows(replica.table("t"), live_rows(rig.app(), rig.capture().tables().at(0)),
                                    "t");
}

TEST(Capture, AFailedAppendOfASchemaChangeLeavesEverythingAsItWas) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1)");
  rig.fill();
  auto before = rig.state_digest();
  rig.app().execute("ALTER TABLE t ADD COLUMN b DEFAULT 1; CREATE TABLE u(id INTEGER PRIMARY KEY)");
  FailingOutbox outbox(0);
  rig.restart(&outbox);
  EXPECT_THROW(rig.capture().cut(), Error);
  EXPECT_EQ(rig.state_digest(), before);
  rig.restart();
  EXPECT_THAT(rig.cut(), SizeIs(2));
}

// Passes the first parts on to the journal of the same state, then fails.
class CutOffOutbox : public Outbox {
 public:
  explicit CutOffOutbox(const std::string& path, int good) : path_(path), good_(good) {}
  std::uint64_t append(const TransactionPart& part) override {
    if (good_-- <= 0) throw Error("cut off", "", Advice::stop);
    return journal_->append(part);
  }
  void use(Journal& journal) { journal_ = &journal; }

 private:
  std::string path_;
  int good_;
  Journal* journal_ = nullptr;
};

TEST(Capture, ACrashBetweenSchemaAndRowsLeavesATransactionThatTheNextCutCloses) {
  for (bool with_rows : {true, false}) {
    CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1)");
    rig.fill();
    CutOffOutbox outbox(rig.state_path(), 1);
    rig.restart(&outbox);
    Journal journal(rig.state());
    outbox.use(journal);
    rig.app().execute("ALTER TABLE t ADD COLUMN b");
    if (with_rows) rig.app().execute("INSERT INTO t VALUES (2, 2, 2)");
    EXPECT_THROW(rig.capture().cut(), Error);
    EXPECT_EQ(rig.last(), 1u);
    EXPECT_EQ(JournalReader(rig.state_path()).end(), 0u);  // open, so nobody applies it
    rig.restart();
    rig.app().execute("ALTER TABLE t ADD COLUMN c");  // another change before it is closed
    rig.capture().cut();
    auto parts = rig.parts_after(0);
    ASSERT_GE(parts.size(), 3u);
    EXPECT_TRUE(parts.front().first && parts.back().last);
    for (const auto& part : parts) EXPECT_EQ(part.transaction, parts[0].transaction);
    for (std::size_t i = 1; i < parts.size(); ++i) EXPECT_FALSE(parts[i].first);
    EXPECT_THAT(changes_of(parts), SizeIs(with_rows ? 1 : 0));
    rig.app().execute("DELETE FROM t");
    EXPECT_EQ(rig.cut().at(0).transaction, parts[0].transaction + 1);
  }
}

TEST(Capture, AReplacedFileIsRefused) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  rig.fill();
  auto before = rig.state_digest();
  std::string other = rig.live_path() + ".new";
  {
    sqlite::Database replacement(other, sqlite::Database::Mode::create, std::chrono::seconds(1));
    replacement.execute("CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
  }
  std::filesystem::rename(other, rig.live_path());
  EXPECT_THAT(refusal<Refused>([&] { rig.capture().cut(); }), HasSubstr("another file is in the place of"));
  std::filesystem::remove(rig.live_path());
  EXPECT_THAT(refusal<Refused>([&] { rig.capture().cut(); }), HasSubstr("is gone"));
  EXPECT_EQ(rig.state_digest(), before);
}

TEST(Capture, NeverWritesIntoTheLiveFile) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  auto version = rig.app().integer("PRAGMA data_version");
  rig.fill();
  rig.app().execute("INSERT INTO t VALUES (1)");
  rig.cut();
  EXPECT_EQ(rig.app().integer("PRAGMA data_version"), version);
}

TEST(Capture, ALostShadowRowIsDamageNotAnEvent) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1)");
  rig.fill();
  rig.state().execute("DELETE FROM shadow_1");
  rig.restart();  // every start compares all rows
  auto changes =
      changes_of(rig.cut());  // the full compare brings it back as an insert: over-inclusive, not lost
  EXPECT_THAT(changes, ElementsAre(Change{Operation::insert, 1, {integer(1), integer(1)}, {}, {}}));
}

TEST(ShadowReader, ChunksFollowEachOtherWithoutGaps) {
  CaptureRig rig(
      "CREATE TABLE t(a TEXT NOT NULL, b INT NOT NULL, v, PRIMARY KEY (a, b)) WITHOUT ROWID;"
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 25)"
      " INSERT INTO t SELECT 'k' || (i / 4), i % 4, zeroblob(100) FROM n");
  rig.fill();
  ShadowReader reader(rig.state_path());
  EXPECT_EQ(reader.count("t"), 25u);
  for (auto [rows, bytes] :
       {std::pair<std::size_t, std::size_t>{4, 1 << 20}, {100, 1}, {25, 1 << 20}, {26, 1 << 20}}) {
    std::size_t read = 0, chunks = 0;
    Row after, last_key;
    do {
      Chunk chunk;
      ASSERT_TRUE(reader.read_chunk("t", after, rows, bytes, chunk));
      for (const Row& row : chunk.rows) {
        Row key{row[0], row[1]};
        EXPECT_TRUE(last_key.empty() || binary_order(last_key, key) < 0);
        last_key = key;
      }
      if (!chunk.to.empty()) {
        EXPECT_EQ(chunk.to, last_key);
      }
      read += chunk.rows.size();
      after = chunk.to;
      ++chunks;
    } while (!after.empty());
    EXPECT_EQ(read, 25u) << rows << " " << bytes;
    EXPECT_LE(chunks, 26u);
  }
}

TEST(ShadowReader, ReadsAtTheJournalsPosition) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1)");
  rig.fill();
  ShadowReader reader(rig.state_path());
  Chunk chunk;
  EXPECT_TRUE(reader.read_chunk("t", {}, 10, 1000, chunk));
  EXPECT_EQ(chunk.position, 0u);
  rig.app().execute("UPDATE t SET a = 2");
  rig.cut();
  EXPECT_TRUE(reader.read_chunk("t", {}, 10, 1000, chunk));
  EXPECT_EQ(chunk.position, 1u);
  EXPECT_EQ(chunk.rows.at(0), (Row{integer(1), integer(2)}));
  EXPECT_EQ(reader.read_row("t", {integer(1)}).row, (Row{integer(1), integer(2)}));
  EXPECT_EQ(reader.read_row("t", {integer(1)}).position, 1u);
  EXPECT_FALSE(reader.read_row("t", {integer(2)}).row);
  EXPECT_THROW(reader.read_chunk("u", {}, 10, 1000, chunk), Error);
}

TEST(Capture, AbsorbedRowsAreNoEvents) {
  CaptureRig rig(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')");
  rig.fill();
  rig.app().execute(
      "UPDATE t SET a = 'back' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 'new')");
  const auto before = rig.last();
  EXPECT_EQ(rig.capture().absorb(), 3u);
  EXPECT_EQ(rig.last(), before);
  EXPECT_EQ(rig.capture().absorb(), 0u) << "again, as after a crash";
  EXPECT_THAT(rig.cut(), IsEmpty());
  rig.restart();
  EXPECT_THAT(rig.cut(), IsEmpty()) << "the first cut compares everything";
  rig.app().execute("UPDATE t SET a = 'the app again' WHERE id = 4");
  const auto changes = changes_of(rig.cut());
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].operation, Operation::update) << "of a row that the shadow has taken over";
  EXPECT_EQ(rig.last(), before + 1);
}

TEST(Capture, NothingIsAbsorbedOverAChangedSchema) {
  CaptureRig rig("CREATE TABLE t(id INTEGER PRIMARY KEY, a)");
  rig.fill();
  rig.app().execute("ALTER TABLE t ADD COLUMN b; INSERT INTO t VALUES (1, 2, 3)");
  EXPECT_THROW(rig.capture().absorb(), SchemaNeedsOperator);
  EXPECT_THAT(rig.cut(), Not(IsEmpty()));
  rig.app().execute(
      "CREATE TABLE _tidegate_position(a); CREATE TRIGGER f BEFORE INSERT ON t BEGIN SELECT 1; END");
  EXPECT_EQ(rig.capture().absorb(), 0u) << "a fence is no change of a table";
}

}  // namespace
}  // namespace tidegate
