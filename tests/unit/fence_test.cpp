// The fence in a live SQLite file: what it refuses, what passes, and what a killed commit of it leaves.
#include "capture/sqlite/fence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "capture/sqlite/catalog.hpp"
#include "capture/sqlite/users_of_file.hpp"
#include "capture/sqlite/write_lock.hpp"
#include "db/error.hpp"
#include "support/live_file.hpp"

namespace tidegate::capture {
namespace {

using std::chrono::milliseconds;
using testing_support::LiveFile;
using testing_support::wal_writer_of;

class Fence : public ::testing::Test {
 protected:
  Fence() : app_(wal_writer_of(file_.path())) {
    app_.execute(
        "CREATE TABLE item(id INTEGER PRIMARY KEY, word TEXT UNIQUE); CREATE TABLE \"odd \"\"name\"(a); "
        "CREATE TABLE pair(a, b, PRIMARY KEY(a, b)) WITHOUT ROWID; INSERT INTO item VALUES (1, 'one'); "
        "CREATE VIEW seen AS SELECT id FROM item");
  }
  void fence(const std::string& run = "r1") {
    auto ours = connection();
    sqlite::Transaction transaction(ours, sqlite::Transaction::Kind::immediate);
    ours.execute(fence_sql(ours, run));
    transaction.commit();
  }
  sqlite::Database connection() {
    return sqlite::Database(file_.path(), sqlite::Database::Mode::read_write, milliseconds(2000));
  }
  void refused(const std::string& sql) {
    try {
      app_.execute(sql);
      ADD_FAILURE() << sql << " got through";
    } catch (const Error& error) {
      EXPECT_THAT(error.code(), ::testing::StartsWith("SQLITE_CONSTRAINT")) << sql;
    }
  }

  LiveFile file_;
  sqlite::Database app_;
};

TEST_F(Fence, RefusesEveryWayToWriteARow) {
  auto prepared = app_.prepare("INSERT INTO item VALUES (7, 'seven')");  // before the fence
  fence();
  EXPECT_THROW(prepared.run(), Error);
  for (const char* sql :
       {"INSERT INTO item VALUES (2, 'two')", "INSERT OR IGNORE INTO item VALUES (2, 'two')",
        "INSERT OR REPLACE INTO item VALUES (1, 'uno')", "REPLACE INTO item VALUES (1, 'uno')",
        "INSERT INTO item VALUES (1, 'uno') ON CONFLICT DO UPDATE SET word = 'uno'",
        "INSERT INTO item VALUES (1, 'uno') ON CONFLICT DO NOTHING", "UPDATE item SET word = 'uno'",
        "UPDATE OR IGNORE item SET word = 'uno'", "DELETE FROM item",
        "INSERT INTO \"odd \"\"name\" VALUES (1)", "INSERT INTO pair VALUES (1, 2)"})
    refused(sql);
  EXPECT_EQ(app_.integer("SELECT count(*) FROM item WHERE word = 'one'"), 1);
}

TEST_F(Fence, LetsReadersAndOurOwnConnectionPass) {
  fence();
  EXPECT_EQ(app_.integer("SELECT count(*) FROM item"), 1);
  auto ours = connection();
  ours.set_triggers_enabled(false);
  ours.execute("INSERT INTO item VALUES (2, 'two')");
  EXPECT_EQ(app_.integer("SELECT count(*) FROM item"), 2);
}

TEST_F(Fence, SaysWhoMadeItAndIsTakenAwayWhole) {
  auto ours = connection();
  EXPECT_FALSE(fenced_by(ours));
  const auto before = ours.integer("SELECT count(*) FROM sqlite_schema");
  fence("run-7");
  EXPECT_EQ(fenced_by(ours), "run-7");
  EXPECT_TRUE(unfenced_tables(ours).empty());
  ours.execute(unfence_sql(ours));
  EXPECT_FALSE(fenced_by(ours));
  EXPECT_EQ(ours.integer("SELECT count(*) FROM sqlite_schema"), before);
  app_.execute("INSERT INTO item VALUES (2, 'two')");
}

TEST_F(Fence, OpeningTakesItAwayAndKeepsWhoDidIt) {
  fence("cutover-1");
  open_legacy(file_.path(), "rollback-1", milliseconds(1000));
  auto ours = connection();
  EXPECT_FALSE(fenced_by(ours));
  EXPECT_EQ(opened_by(ours), "rollback-1");
  app_.execute("INSERT INTO item VALUES (2, 'two')");
  open_legacy(file_.path(), "rollback-1", milliseconds(1000));  // once more
  fence("cutover-2");
  EXPECT_EQ(fenced_by(ours), "cutover-2");
  EXPECT_EQ(opened_by(ours), "");
  refused("INSERT INTO item VALUES (3, 'three')");
}

TEST_F(Fence, IsNoTableOfTheApplication) {
  fence();
  auto ours = connection();
  for (const auto& table : read_catalog(ours, {"*"}, {}, nullptr)) EXPECT_NE(table.name, "_tidegate_fence");
}

TEST_F(Fence, ATableMadeLaterIsSeenToBeOpen) {
  fence();
  app_.execute("CREATE TABLE later(a)");
  app_.execute("DROP TRIGGER \"_tidegate_fence_UPDATE_item\"");
  auto ours = connection();
  EXPECT_THAT(unfenced_tables(ours), ::testing::UnorderedElementsAre("later", "item"));
}

TEST_F(Fence, SettlingSaysWhatIsThere) {
  EXPECT_FALSE(settle_fence(file_.path(), milliseconds(1000)));
  fence("r9");
  EXPECT_EQ(settle_fence(file_.path(), milliseconds(1000)), "r9");
}

TEST_F(Fence, SettlingThatFindsNoneCommitsSomethingAndChangesNothing) {
  app_.execute("PRAGMA user_version = 42");
  auto reader = connection();
  const auto before = reader.integer("PRAGMA data_version");
  const auto schema = reader.integer("PRAGMA schema_version");
  settle_fence(file_.path(), milliseconds(1000));
  EXPECT_NE(reader.integer("PRAGMA data_version"), before) << "a commit went over what may have stood there";
  EXPECT_EQ(reader.integer("PRAGMA user_version"), 42);
  EXPECT_EQ(reader.integer("PRAGMA schema_version"), schema);
}

TEST_F(Fence, SettlingWaitsForWhoeverHoldsTheLock) {
  sqlite::Transaction held(app_, sqlite::Transaction::Kind::immediate);
  EXPECT_THROW(settle_fence(file_.path(), milliseconds(50)), Error);
}

TEST_F(Fence, TheWriteLockIsTakenOrNot) {
  sqlite::Database ours(file_.path(), sqlite::Database::Mode::read_write, milliseconds(0));
  {
    sqlite::Transaction held(app_, sqlite::Transaction::Kind::immediate);
    EXPECT_EQ(take_write_lock(ours, milliseconds(30)), nullptr);
  }
  EXPECT_NE(take_write_lock(ours, milliseconds(30)), nullptr);
}

TEST_F(Fence, WeDoNotCountAsUsersOfTheFile) {
  for (const auto& user : users_of_file(file_.path())) EXPECT_NE(user.pid, getpid());
}

}  // namespace
}  // namespace tidegate::capture
