#include "capture/sqlite/journal_mode.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "capture/sqlite/users_of_file.hpp"
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

// The application in a process of its own, in rollback mode: one connection writes as fast as it can (or
// reads, as asked), another reads, until a file named stop appears. Prints errors and the longest wait.
constexpr const char* hammer = R"(
import os, sqlite3, sys, threading, time
path, writing, errors, longest, rounds = sys.argv[1], sys.argv[2] == 'writes', [], 0.0, 0
timeout = 5 if writing else 1
end = time.monotonic() + 60
def going():
    return time.monotonic() < end and not os.path.exists(path + '.stop')
def read():
    try:
        db = sqlite3.connect(path, timeout)
        while going():
            db.execute('SELECT count(*) FROM t').fetchall()
            time.sleep(0.001)
    except Exception as e:
        errors.append('reading: ' + repr(e))
reader = threading.Thread(target=read)
reader.start()
db = sqlite3.connect(path, timeout)
while going():
    start = time.monotonic()
    try:
        db.execute('SELECT max(a) FROM t').fetchall()
        if writing:
            db.execute('INSERT INTO t VALUES (2)')
            db.commit()
        rounds += 1
    except Exception as e:
        errors.append('main: ' + repr(e))
        db.rollback()
    longest = max(longest, time.monotonic() - start)
    if rounds == 20:
        open(path + '.going', 'w').close()
reader.join()
print(f'{rounds} rounds, longest {longest * 1000:.1f} ms, errors: {errors}')
rows = db.execute('SELECT count(*) - 1 FROM t').fetchone()[0]
print('rows ' + ('ok' if rows == (rounds if writing else 0) else f'{rows} for {rounds}'))
)";

// Started in its constructor, ended in stop() or the destructor.
class HammeringApp {
 public:
  HammeringApp(const std::string& path, const std::string& work) : path_(path) {
    std::ofstream(path + ".py") << hammer;
    app_ = popen(("/usr/bin/python3 " + path + ".py " + path + " " + work).c_str(), "r");
    for (int i = 0; i < 3000 && !fs::exists(path + ".going"); ++i)
      std::this_thread::sleep_for(milliseconds(10));
  }
  ~HammeringApp() {
    if (app_) stop();
  }
  std::string stop() {
    std::ofstream(path_ + ".stop") << "";
    std::string said;
    for (char buffer[256]; std::fgets(buffer, sizeof buffer, app_);) said += buffer;
    EXPECT_EQ(pclose(app_), 0);
    app_ = nullptr;
    return said;
  }

 private:
  std::string path_;
  std::FILE* app_ = nullptr;
};

constexpr const char* reads_until_told = R"(import os, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('BEGIN')
db.execute('SELECT * FROM t').fetchall()
print('reads', flush=True)
while not os.path.exists(sys.argv[1] + '.stop'): time.sleep(0.01)
)";

// A try in vain would make a transaction fail that has read and is about to write.
TEST_F(JournalMode, NothingIsTriedWhileAnotherProcessReads) {
  EXPECT_FALSE(is_locked_by_others(path_));
  std::ofstream(path_ + ".py") << reads_until_told;
  std::FILE* app = popen(("/usr/bin/python3 " + path_ + ".py " + path_).c_str(), "r");
  char said[16] = {};
  EXPECT_STREQ(std::fgets(said, sizeof said, app), "reads\n");
  EXPECT_TRUE(is_locked_by_others(path_));
  Database ours = open();
  EXPECT_EQ(ensure_wal(ours, Consent::given, {milliseconds(100), milliseconds(0)}),
            WalOutcome::refused_by_readers);
  std::ofstream(path_ + ".stop") << "";
  EXPECT_EQ(pclose(app), 0);
  EXPECT_FALSE(is_locked_by_others(path_));
  EXPECT_EQ(ensure_wal(ours, Consent::given, {milliseconds(5000), milliseconds(0)}), WalOutcome::switched);
}

TEST_F(JournalMode, AnAppThatIsWritingSeesNoError) {
  HammeringApp app(path_, "writes");
  Database ours = open();
  EXPECT_EQ(ensure_wal(ours, Consent::given, {milliseconds(30'000), milliseconds(20)}), WalOutcome::switched);
  std::this_thread::sleep_for(milliseconds(200));  // time for writes in the new mode
  std::string said = app.stop();
  std::cout << said;
  EXPECT_THAT(said, ::testing::HasSubstr("errors: []\nrows ok\n"));
}

// Tries that wait, one after another, hold back new readers: without a pause between them these never get in.
TEST_F(JournalMode, TriesInVainDoNotStarveOtherReaders) {
  Database reader = open(), ours = open();
  sqlite::Transaction reading(reader);
  EXPECT_EQ(reader.integer("SELECT a FROM t"), 1);
  HammeringApp app(path_, "reads");
  EXPECT_EQ(ensure_wal(ours, Consent::given, {milliseconds(3000), milliseconds(20)}),
            WalOutcome::refused_by_readers);
  std::string said = app.stop();
  std::cout << said;
  EXPECT_THAT(said, ::testing::HasSubstr("errors: []\nrows ok\n"));
}

}  // namespace
}  // namespace tidegate::capture
