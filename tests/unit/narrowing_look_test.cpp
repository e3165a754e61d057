// Small changes are looked for in small places, and what cannot be placed is looked for everywhere.
#include <gtest/gtest.h>

#include <iostream>

#include "capture/sqlite/narrowing/snapshot_chain.hpp"
#include "support/live_file.hpp"

namespace tidegate::sqlite_wal {
namespace {

using sqlite::Database;
using testing_support::filled;
using testing_support::LiveFile;
using testing_support::wal_writer_of;
using testing_support::writer_of;

// How many of a table's rows are looked at, in percent.
double share_looked_at(Database& snapshot, const Look& look, const std::string& table) {
  auto all = static_cast<double>(snapshot.integer("SELECT count(*) FROM " + table));
  if (look.everything) return 100;
  auto found = look.tables.find(table);
  if (found == look.tables.end()) return 0;
  if (found->second.whole) return 100;
  double rows = 0;
  for (RowidRange range : found->second.ranges) {
    auto count = snapshot.prepare("SELECT count(*) FROM " + table + " WHERE rowid BETWEEN ? AND ?");
    count.bind_all(range.first, range.last);
    count.step();
    rows += static_cast<double>(count.integer(0));
  }
  return 100 * rows / all;
}

struct OneChange {
  const char* sql;
  double most_percent;
};

void expect_small_looks(const char* columns, const std::vector<OneChange>& changes) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute(filled(columns, 200'000));
  SnapshotChain chain(file.path(), {});
  chain.next();
  chain.accept();
  for (const OneChange& change : changes) {
    SCOPED_TRACE(change.sql);
    writer.execute(change.sql);
    auto start = std::chrono::steady_clock::now();
    auto cut = chain.next();
    std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    double share = share_looked_at(cut.connection, cut.look, "item");
    std::cout << change.sql << ": " << share << " % of 200,000 rows, " << took.count() << " ms\n";
    EXPECT_FALSE(cut.look.everything) << cut.look.reason;
    EXPECT_FALSE(cut.look.tables.contains("other"));
    EXPECT_TRUE(cut.look.tables.contains("item"));
    EXPECT_LT(share, change.most_percent);
    chain.accept();
  }
}

TEST(Narrowing, SmallChangesAreLookedForInSmallPlaces) {
  expect_small_looks("id INTEGER PRIMARY KEY, a, b",
                     {{"UPDATE item SET a = 'x' WHERE id = 77777", 0.1},
                      {"DELETE FROM item WHERE id = 123456", 0.1},
                      {"INSERT INTO item(a) VALUES ('new')", 0.1},
                      {"UPDATE item SET b = zeroblob(3000) WHERE id = 77777", 0.1},
                      {"DELETE FROM item WHERE id BETWEEN 1000 AND 3000", 0.1},
                      {"UPDATE item SET a = 'y' WHERE id % 20000 = 0", 0.5}});
}

TEST(Narrowing, SmallChangesOfATableWithATextKeyAreLookedForByRowid) {
  expect_small_looks("id TEXT PRIMARY KEY, a, b", {{"UPDATE item SET a = 'x' WHERE id = '77777'", 0.1},
                                                   {"UPDATE item SET id = 'moved' WHERE id = '9'", 0.1},
                                                   {"INSERT INTO item(id) VALUES ('new')", 0.1}});
}

// The last connection that closed has removed the WAL, so its index knows neither salts nor page size.
TEST(Narrowing, TheFirstWriteToAnEmptyWalIsLookedForInItsPlace) {
  for (const char* page_size : {"1024", "4096", "65536"}) {
    LiveFile file;
    {
      Database writer = writer_of(file.path());
      writer.execute("PRAGMA page_size = " + std::string(page_size) + "; PRAGMA journal_mode = WAL");
      writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 20'000));
    }
    SnapshotChain chain(file.path(), {});
    chain.next();
    chain.accept();
    EXPECT_TRUE(chain.next().look.nowhere());
    chain.accept();
    Database writer = writer_of(file.path());
    for (const char* change :
         {"UPDATE item SET a = 'x' WHERE id = 7777", "DELETE FROM item WHERE id = 7778"}) {
      writer.execute(change);
      EXPECT_TRUE(chain.changed());
      auto cut = chain.next();
      EXPECT_FALSE(cut.look.everything) << cut.look.reason;
      EXPECT_EQ(cut.look.tables.size(), 1u);
      EXPECT_GT(share_looked_at(cut.connection, cut.look, "item"), 0);
      EXPECT_LT(share_looked_at(cut.connection, cut.look, "item"), 6);
      chain.accept();
    }
  }
}

// The writes touch one overflow page each, which names neither its table nor its row.
TEST(Narrowing, AChangeAtTheFarEndOfALongRowIsPlaced) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 20'000));
  writer.execute("UPDATE item SET b = zeroblob(9000) || 'tail' WHERE id % 100 = 0");
  SnapshotChain chain(file.path(), {});
  chain.next();
  chain.accept();
  for (int id : {100, 5000, 20'000}) {
    writer.execute("UPDATE item SET b = zeroblob(9000) || 'TAIL' WHERE id = " + std::to_string(id));
    auto cut = chain.next();
    ASSERT_FALSE(cut.look.everything) << cut.look.reason;
    auto found = cut.look.tables.find("item");
    ASSERT_TRUE(found != cut.look.tables.end());
    EXPECT_EQ(found->second.ranges, std::vector<RowidRange>({{id, id}}));
    chain.accept();
  }
}

TEST(Narrowing, OnlyATableWithoutRowidThatWasWrittenIsWhole) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute("CREATE TABLE k(id TEXT PRIMARY KEY, a) WITHOUT ROWID");
  writer.execute("CREATE TABLE l(id TEXT PRIMARY KEY, a) WITHOUT ROWID");
  writer.execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
      "INSERT INTO k SELECT 'key' || i, i FROM n; INSERT INTO l SELECT * FROM k");
  SnapshotChain chain(file.path(), {});
  chain.next();
  chain.accept();
  writer.execute("UPDATE k SET a = 'x' WHERE id = 'key77'");
  auto cut = chain.next();
  ASSERT_FALSE(cut.look.everything) << cut.look.reason;
  EXPECT_EQ(cut.look.tables.size(), 1U);
  EXPECT_TRUE(cut.look.tables.contains("k") && cut.look.tables.at("k").whole);
}

// ADD COLUMN with a default changes every row and writes page 1 alone.
TEST(Narrowing, ASchemaChangeLooksEverywhere) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain chain(file.path(), {});
  chain.next();
  chain.accept();
  for (const char* sql : {"ALTER TABLE item ADD COLUMN c DEFAULT 7", "VACUUM", "CREATE INDEX i ON item(a)"}) {
    writer.execute(sql);
    auto cut = chain.next();
    EXPECT_TRUE(cut.look.everything) << sql;
    chain.accept();
    writer.execute("UPDATE item SET a = a || 'x' WHERE id = 5");
    EXPECT_FALSE(chain.next().look.everything) << "after " << sql;
    chain.accept();
  }
}

}  // namespace
}  // namespace tidegate::sqlite_wal
