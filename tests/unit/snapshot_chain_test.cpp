// The chain of snapshots: nothing between two is lost, and the WAL does not grow without end.
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "capture/sqlite/narrowing/snapshot_chain.hpp"
#include "db/error.hpp"
#include "support/live_file.hpp"

namespace tidegate::sqlite_wal {
namespace {

using sqlite::Database;
using std::chrono::milliseconds;
using testing_support::filled;
using testing_support::LiveFile;
using testing_support::wal_writer_of;
using testing_support::writer_of;

// Frames that a transaction spilled and then took back are in the file, but were never committed.
TEST(SnapshotChain, WhatWasRolledBackIsNotLookedAt) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 20'000));
  SnapshotChain chain(file.path(), {});
  chain.next();
  chain.accept();
  auto size = std::filesystem::file_size(file.path() + "-wal");
  writer.execute("PRAGMA cache_size = 5; BEGIN; UPDATE item SET a = 'x'");
  EXPECT_GT(std::filesystem::file_size(file.path() + "-wal"), size);
  EXPECT_FALSE(chain.changed());
  EXPECT_TRUE(chain.next().look.nowhere());
  writer.execute("ROLLBACK");
  EXPECT_FALSE(chain.changed());
  writer.execute("UPDATE other SET a = 'y' WHERE id = 9");
  EXPECT_TRUE(chain.changed());
  auto cut = chain.next();
  EXPECT_FALSE(cut.look.everything);
  EXPECT_FALSE(cut.look.tables.contains("item"));
  EXPECT_TRUE(cut.look.tables.contains("other"));
}

TEST(SnapshotChain, ACutThatIsNotAcceptedStaysInTheNextLook) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain chain(file.path(), {});
  EXPECT_TRUE(chain.next().look.everything);
  EXPECT_TRUE(chain.next().look.everything);
  chain.accept();
  writer.execute("UPDATE item SET a = 'x' WHERE id = 5");
  chain.next();
  writer.execute("UPDATE other SET a = 'x' WHERE id = 5");
  auto cut = chain.next();
  EXPECT_FALSE(cut.look.everything);
  EXPECT_TRUE(cut.look.tables.contains("item"));
  EXPECT_TRUE(cut.look.tables.contains("other"));
  chain.accept();
  EXPECT_TRUE(chain.next().look.nowhere());
}

// A cut on every commit, so that each checkpoint of the app's own finds the WAL held.
void write_and_cut(Database& writer, SnapshotChain& chain, int commits) {
  for (int i = 0; i < commits; ++i) {
    writer.execute("UPDATE item SET a = a || 'x' WHERE id = " + std::to_string(1 + i % 1000));
    if (!chain.changed()) continue;
    chain.next();
    chain.accept();
  }
}

TEST(SnapshotChain, ABarrierLetsTheWalStartOver) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute("PRAGMA wal_autocheckpoint = 20");
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain::Options options;
  options.writers_wait = true;
  options.wal_bound = 400'000;
  SnapshotChain chain(file.path(), options);
  write_and_cut(writer, chain, 2000);
  EXPECT_GT(chain.counts().barriers, 3U);
  EXPECT_GT(chain.counts().resets_seen, 3U);
  EXPECT_EQ(chain.counts().let_go, 0U);
  EXPECT_LT(std::filesystem::file_size(file.path() + "-wal"), 600'000U);
}

// Neither barrier nor letting go: nobody waits, and no cut looks everywhere.
TEST(SnapshotChain, TendedWhenQuietTheWalStartsOver) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain::Options options;
  options.checkpoint_from = 400'000;
  SnapshotChain chain(file.path(), options);
  chain.next();
  chain.accept();
  for (int i = 0; i < 2000; ++i) {
    writer.execute("UPDATE item SET a = a || 'x' WHERE id = " + std::to_string(1 + i % 1000));
    ASSERT_FALSE(chain.next().look.everything);
    chain.accept();
    chain.tend();
  }
  EXPECT_GT(chain.counts().resets_seen, 3U);
  EXPECT_EQ(chain.counts().resets_seen, chain.counts().checkpoints);
  EXPECT_EQ(chain.counts().barriers + chain.counts().let_go, 0U);
  EXPECT_LT(std::filesystem::file_size(file.path() + "-wal"), 600'000U);
}

TEST(SnapshotChain, WithoutBarriersItIsLetGoAtTheBound) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute("PRAGMA wal_autocheckpoint = 20");
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain::Options options;
  options.wal_bound = 400'000;
  options.patience = std::chrono::hours(1);
  SnapshotChain chain(file.path(), options);
  write_and_cut(writer, chain, 2000);
  EXPECT_EQ(chain.counts().barriers, 0U);
  EXPECT_GT(chain.counts().let_go, 3U);
  EXPECT_LT(std::filesystem::file_size(file.path() + "-wal"), 600'000U);
}

TEST(SnapshotChain, AnotherReaderOfTheAppRelaxesTheBound) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  Database reader(file.path(), Database::Mode::read_write, milliseconds(0));
  sqlite::Transaction open_for_long(reader);
  reader.integer("SELECT count(*) FROM item");
  SnapshotChain::Options options;
  options.wal_bound = 400'000;
  options.patience = milliseconds(0);
  SnapshotChain chain(file.path(), options);
  write_and_cut(writer, chain, 1500);
  EXPECT_GT(chain.counts().let_go, 1U);
  EXPECT_LT(chain.counts().let_go, 10U);  // the bound doubles
}

TEST(SnapshotChain, WithoutWalEachCutLooksEverywhereAndEndsWhenAccepted) {
  LiveFile file;
  Database writer = writer_of(file.path());
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 100));
  writer.execute("PRAGMA busy_timeout = 0");
  SnapshotChain chain(file.path(), {});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(chain.changed());
    auto cut = chain.next();
    EXPECT_FALSE(cut.wal);
    EXPECT_TRUE(cut.look.everything);
    EXPECT_THROW(writer.execute("UPDATE item SET a = 1"), Error);
    chain.accept();
    EXPECT_FALSE(chain.changed());
    writer.execute("UPDATE item SET a = a || 'x'");
  }
  writer.execute("PRAGMA journal_mode = WAL");
  EXPECT_TRUE(chain.next().wal);
}

TEST(SnapshotChain, AReplacedFileIsRefused) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute("CREATE TABLE t(a)");
  SnapshotChain chain(file.path(), {});
  chain.next();
  std::filesystem::copy_file(file.path(), file.path() + "2");
  std::filesystem::rename(file.path() + "2", file.path());
  EXPECT_THROW(chain.changed(), Refused);
  EXPECT_THROW(chain.next(), Refused);
}

// A long cut on a snapshot that reads the file alone would make the app's commits slow.
TEST(SnapshotChain, ALongCutStandsInTheWalWhereTheAppWrites) {
  LiveFile file;
  {
    Database writer = wal_writer_of(file.path());
    writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  }
  SnapshotChain::Options options;
  options.commit_wait = std::chrono::seconds(20);
  SnapshotChain chain(file.path(), options);
  std::thread app([&] {
    std::this_thread::sleep_for(milliseconds(20));
    Database writer = writer_of(file.path());
    writer.execute("UPDATE item SET a = 'x' WHERE id = 5");
  });
  auto cut = chain.next();
  app.join();
  EXPECT_TRUE(cut.look.everything);
  EXPECT_EQ(cut.connection.text("SELECT a FROM item WHERE id = 5"), "x");
  EXPECT_FALSE(chain.reads_file_alone());
  chain.accept();
  EXPECT_FALSE(chain.changed());
}

TEST(SnapshotChain, ALongCutOfAQuietAppReadsTheFileAlone) {
  LiveFile file;
  { wal_writer_of(file.path()).execute(filled("id INTEGER PRIMARY KEY, a, b", 1000)); }
  SnapshotChain chain(file.path(), {});
  EXPECT_TRUE(chain.next().look.everything);
  EXPECT_TRUE(chain.reads_file_alone());
  chain.accept();
  Database writer = writer_of(file.path());
  writer.execute("UPDATE item SET a = 'x' WHERE id = 5");
  chain.next();
  EXPECT_FALSE(chain.reads_file_alone());
}

// The database file and its -shm must never be opened by ourselves: closing them drops SQLite's locks.
TEST(SnapshotChain, ASnapshotKeepsItsLocks) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain chain(file.path(), {});
  for (int i = 0; i < 5; ++i) {
    writer.execute("UPDATE item SET a = a || 'x' WHERE id < 50");
    chain.next();
    chain.accept();
  }
  pid_t other = fork();
  if (other == 0) {
    execlp("/usr/bin/python3", "python3", "-c",
           "import sqlite3, sys\n"
           "c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)\n"
           "c.execute('insert into item(a) values (1)')\n"
           "sys.exit(10 + c.execute('pragma wal_checkpoint(truncate)').fetchone()[0])",
           file.path().c_str(), nullptr);
    _exit(1);
  }
  int status = 0;
  waitpid(other, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 11) << "the other process emptied the WAL under our snapshot";
}

}  // namespace
}  // namespace tidegate::sqlite_wal
