#include "capture/sqlite/journal_mode.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "db/error.hpp"

namespace tidegate::capture {
namespace {

namespace fs = std::filesystem;
using sqlite::Database;
using std::chrono::milliseconds;

class JournalMode : public ::testing::Test {
 protected:
  JournalMode() {
    std::string pattern = ::testing::TempDir() + "journal_mode_XXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/app.db";
    Database(path_, Database::Mode::create, milliseconds(0))
        .execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  }
  ~JournalMode() override { fs::remove_all(directory_); }
  Database open() { return Database(path_, Database::Mode::read_write, milliseconds(1234)); }

  std::string directory_, path_;
};

TEST_F(JournalMode, SwitchesOnceAndOnlyWithConsent) {
  Database ours = open();
  EXPECT_EQ(ensure_wal(ours, Consent::withheld), WalOutcome::not_allowed);
  EXPECT_EQ(ours.text("PRAGMA journal_mode"), "delete");
  EXPECT_EQ(ensure_wal(ours, Consent::given), WalOutcome::switched);
  EXPECT_EQ(ensure_wal(ours, Consent::withheld), WalOutcome::already_wal);
  Database another = open();
  EXPECT_EQ(ensure_wal(another, Consent::withheld), WalOutcome::already_wal);
  EXPECT_EQ(ours.integer("PRAGMA busy_timeout"), 1234);
}

TEST_F(JournalMode, SwitchesBesideIdleConnections) {
  Database app = open(), ours = open();
  EXPECT_EQ(app.integer("SELECT a FROM t"), 1);
  EXPECT_EQ(ensure_wal(ours, Consent::given), WalOutcome::switched);
  app.execute("INSERT INTO t VALUES (2)");
  EXPECT_EQ(app.text("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(ours.integer("SELECT count(*) FROM t"), 2);
}

TEST_F(JournalMode, IsRefusedWhileAReaderIsInATransaction) {
  Database app = open(), ours = open();
  {
    sqlite::Transaction reading(app);
    EXPECT_EQ(app.integer("SELECT a FROM t"), 1);
    auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(ensure_wal(ours, Consent::given, {milliseconds(100), milliseconds(20)}),
              WalOutcome::refused_by_readers);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
    EXPECT_EQ(ours.integer("PRAGMA busy_timeout"), 1234);
    Database another = open();  // our tries left no lock behind
    EXPECT_EQ(another.integer("SELECT a FROM t"), 1);
  }
  app.execute("INSERT INTO t VALUES (2)");
  EXPECT_EQ(ensure_wal(ours, Consent::given), WalOutcome::switched);
}

TEST_F(JournalMode, WaitsForAReaderThatEnds) {
  Database app = open(), ours = open();
  app.execute("BEGIN");
  app.integer("SELECT a FROM t");
  std::jthread ends([&] {
    std::this_thread::sleep_for(milliseconds(100));
    app.execute("COMMIT");
  });
  EXPECT_EQ(ensure_wal(ours, Consent::given, {milliseconds(30'000), milliseconds(20)}), WalOutcome::switched);
}

TEST_F(JournalMode, AfterwardsNobodyCanLeaveWalBesideUs) {
  Database ours = open(), app(path_, Database::Mode::read_write, milliseconds(0));
  ASSERT_EQ(ensure_wal(ours, Consent::given), WalOutcome::switched);
  EXPECT_THROW(app.text("PRAGMA journal_mode = DELETE"), Error);
  EXPECT_EQ(app.text("PRAGMA journal_mode"), "wal");
  Database primed = open();
  ASSERT_EQ(ensure_wal(primed, Consent::withheld), WalOutcome::already_wal);
}

TEST_F(JournalMode, SeesASwitchThatTheAppMadeMeanwhile) {
  Database ours = open(), app = open();
  EXPECT_EQ(ours.integer("SELECT a FROM t"), 1);
  app.text("PRAGMA journal_mode = WAL");
  EXPECT_EQ(ensure_wal(ours, Consent::withheld), WalOutcome::already_wal);
}

TEST_F(JournalMode, RefusesWhatCannotBeWal) {
  Database memory = Database::in_memory();
  EXPECT_THROW(ensure_wal(memory, Consent::given), Refused);
}

// The application in a process of its own: writes as fast as it can, half of it as read-then-write on the
// connection, with a second one that reads, until a file named stop appears. Prints errors and its longest
// wait.
constexpr const char* hammer = R"(
import os, sqlite3, sys, threading, time
path, errors, longest, writes = sys.argv[1], [], 0.0, 0
stop = path + '.stop'
def read():
    try:
        db = sqlite3.connect(path)
        while not os.path.exists(stop):
            db.execute('SELECT count(*) FROM t').fetchall()
            time.sleep(0.001)
    except Exception as e:
        errors.append(repr(e))
reader = threading.Thread(target=read)
reader.start()
db = sqlite3.connect(path)
while not os.path.exists(stop):
    start = time.monotonic()
    try:
        db.execute('SELECT max(a) FROM t').fetchall()
        db.execute('INSERT INTO t VALUES (2)')
        db.commit()
        writes += 1
    except Exception as e:
        errors.append(repr(e))
        db.rollback()
    longest = max(longest, time.monotonic() - start)
    if writes == 20:
        open(path + '.going', 'w').close()
reader.join()
print(f'{writes} writes, longest {longest * 1000:.1f} ms, errors: {errors}')
print('rows', db.execute('SELECT count(*) - 1 FROM t').fetchone()[0] - writes)
)";

TEST_F(JournalMode, AnAppThatIsWritingSeesNoError) {
  std::ofstream(directory_ + "/hammer.py") << hammer;
  std::FILE* app = popen(("/usr/bin/python3 " + directory_ + "/hammer.py " + path_).c_str(), "r");
  ASSERT_NE(app, nullptr);
  for (int i = 0; i < 3000 && !fs::exists(path_ + ".going"); ++i)
    std::this_thread::sleep_for(milliseconds(10));
  Database ours = open();
  EXPECT_EQ(ensure_wal(ours, Consent::given, {milliseconds(30'000), milliseconds(20)}), WalOutcome::switched);
  std::this_thread::sleep_for(milliseconds(200));  // time for writes in the new mode
  std::ofstream(path_ + ".stop") << "";
  std::string said;
  for (char buffer[256]; std::fgets(buffer, sizeof buffer, app);) said += buffer;
  EXPECT_EQ(pclose(app), 0);
  std::cout << said;
  EXPECT_THAT(said, ::testing::HasSubstr("errors: []\nrows 0\n"));
}

}  // namespace
}  // namespace tidegate::capture
