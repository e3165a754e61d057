#include "capture/sqlite/file_checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "db/error.hpp"
#include "db/sqlite.hpp"

namespace tidegate::capture {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FileChecks : public ::testing::Test {
 protected:
  FileChecks() {
    std::string pattern = ::testing::TempDir() + "file_checks_XXXXXX";
    directory_ = mkdtemp(pattern.data());
    fs::permissions(directory_, fs::perms::all);
  }
  ~FileChecks() override { fs::remove_all(directory_); }

  std::string file(const std::string& name, const std::string& bytes) {
    std::ofstream(path(name)) << bytes;
    return path(name);
  }
  std::string path(const std::string& name) { return directory_ + "/" + name; }
  std::string database(const std::string& name, const std::string& mode) {
    sqlite::Database made(path(name), sqlite::Database::Mode::create, std::chrono::seconds(1));
    made.text("PRAGMA journal_mode = " + mode);
    made.execute("CREATE TABLE t(a)");
    return path(name);
  }
  template <typename Kind>
  void expect(const std::string& path, const std::string& part) {
    try {
      require_local_database(path);
      FAIL() << "taken: " << path;
    } catch (const Kind& error) {
      EXPECT_THAT(error.what(), HasSubstr(part));
      EXPECT_THAT(error.what(), HasSubstr(path));
    }
  }
  std::string directory_;
};

TEST_F(FileChecks, TakesADatabaseAndTellsItsJournalMode) {
  EXPECT_FALSE(require_local_database(database("rollback.db", "delete")).is_wal());
  FileFacts wal = require_local_database(database("wal.db", "wal"));
  EXPECT_TRUE(wal.is_wal() && wal.is_owner && wal.readable && wal.writable && wal.directory_writable);
  EXPECT_EQ(wal.remote_file_system, "");
  fs::create_symlink(path("wal.db"), path("link.db"));
  EXPECT_EQ(require_local_database(path("link.db")).identity, wal.identity);
}

TEST_F(FileChecks, NamesEachNewcomersError) {
  expect<Usage>(path("nothing.db"), "no file");
  expect<Usage>(file("plain", "x") + "/app.db", "no file");
  expect<Usage>(directory_, "is a directory");
  expect<Usage>("/dev/null", "not a plain file");
  expect<Usage>(file("empty.db", ""), "is empty");
  expect<Usage>(file("text.db", std::string(4096, 'x')), "not a SQLite database");
  expect<Usage>(file("cut.db", std::string("SQLite format 3\0", 16)), "not a SQLite database");
  std::string newer = std::string("SQLite format 3\0\x10\0\3\3", 20) + std::string(4096, '\0');
  expect<Refused>(file("newer.db", newer), "newer");
  fs::create_symlink(path("loop"), path("loop"));
  expect<Refused>(path("loop"), "cannot reach");
}

// Root may do all: the checks go by the effective user, who is nobody here.
class AsNobody {
 public:
  AsNobody() { EXPECT_EQ(seteuid(65534), 0); }
  ~AsNobody() { EXPECT_EQ(seteuid(0), 0); }
};

TEST_F(FileChecks, NamesMissingRights) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  std::string db = database("app.db", "delete");
  auto refused = [&](const std::string& part) {
    AsNobody nobody;
    expect<Refused>(db, part);
  };
  refused("may not read");
  fs::permissions(db, fs::perms(0644));
  refused("may not write to " + db);
  fs::permissions(db, fs::perms(0666));
  fs::permissions(file("app.db-wal", "x"), fs::perms(0600));
  refused("-wal");
  fs::remove(db + "-wal");
  fs::permissions(directory_, fs::perms(0755));
  refused("may not make files");
  fs::permissions(directory_, fs::perms(0700));
  refused("cannot reach");
  fs::permissions(directory_, fs::perms(0777));
  AsNobody nobody;
  EXPECT_FALSE(require_local_database(db).is_owner);
}

// In the rollback-journal modes each write of the application makes the -journal and deletes it.
TEST_F(FileChecks, BearsAJournalThatComesAndGoes) {
  std::string db = database("app.db", "delete");
  std::atomic<bool> stop = false;
  std::thread application([&] {
    while (!stop) {
      std::ofstream(db + "-journal") << "x";
      fs::remove(db + "-journal");
    }
  });
  for (int look = 0; look < 20'000; ++look) EXPECT_TRUE(examine_file(db).sidecars_writable) << look;
  stop = true;
  application.join();
}

TEST_F(FileChecks, RefusesNetworkAndFuse) {
  for (std::uint32_t magic : {0x6969u, 0xff534d42u, 0xfe534d42u, 0x01021997u, 0x00c36400u, 0x65735546u}) {
    EXPECT_NE(remote_file_system(magic), "") << magic;
  }
  for (std::uint32_t local : {0xef53u, 0x58465342u, 0x01021994u, 0x9123683eu, 0x794c7630u, 0x2fc12fc1u}) {
    EXPECT_EQ(remote_file_system(local), "") << local;
  }
  FileFacts facts = examine_file(database("app.db", "wal"));
  facts.remote_file_system = remote_file_system(0x6969);
  EXPECT_THROW(require_local_database("app.db", facts), Refused);
}

TEST_F(FileChecks, NoticesAReplacedFile) {
  std::string db = database("app.db", "delete");
  auto before = identity_of(db);
  ASSERT_TRUE(before);
  EXPECT_EQ(*before, examine_file(db).identity);
  fs::copy_file(db, path("new.db"));
  EXPECT_EQ(identity_of(db), before);
  fs::rename(path("new.db"), db);
  EXPECT_NE(identity_of(db), before);
  fs::remove(db);
  EXPECT_EQ(identity_of(db), std::nullopt);
}

// From another process; whether it may write while we hold the lock.
bool another_process_may_write(const std::string& db) {
  std::string script = "import sqlite3; sqlite3.connect('" + db + "', timeout=0).execute('BEGIN IMMEDIATE')";
  return std::system(("/usr/bin/python3 -c \"" + script + "\" 2>/dev/null").c_str()) == 0;
}

TEST_F(FileChecks, IdentityLeavesTheLocksAloneAndExaminingDoesNot) {
  std::string db = database("app.db", "delete");
  EXPECT_TRUE(another_process_may_write(db));
  sqlite::Database holder(db, sqlite::Database::Mode::read_write, std::chrono::seconds(0));
  sqlite::Transaction held(holder, sqlite::Transaction::Kind::immediate);
  identity_of(db);
  EXPECT_FALSE(another_process_may_write(db));
  examine_file(db);  // against its contract: this is why the contract says so
  EXPECT_TRUE(another_process_may_write(db));
}

}  // namespace
}  // namespace tidegate::capture
