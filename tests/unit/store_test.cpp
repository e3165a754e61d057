#include "replicator/control/store.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "db/error.hpp"
#include "replicator/cutover/run_journal.hpp"
#include "replicator/journal/journal.hpp"
#include "support/scratch.hpp"

namespace tidegate {
namespace {

// As a cutover's step does while capture writes a long cut.
TEST(ControlStore, ADecisionDoesNotWaitForCapturesTransaction) {
  testing_support::Scratch scratch;
  auto state = open_state(scratch.file("state.db"));
  Journal journal(state);
  sqlite::Transaction capturing(state, sqlite::Transaction::Kind::immediate);
  state.execute("CREATE TABLE long_cut (n INTEGER); INSERT INTO long_cut VALUES (1)");
  ControlStore store(scratch.file("control.db"));
  store.set_fact("step", "hold");
  store.audit("cutover", "operator", "", "");
  EXPECT_EQ(ControlStore(scratch.file("control.db")).fact("step"), "hold") << "and is there for others";
  EXPECT_THROW(sqlite::Database(scratch.file("state.db"), sqlite::Database::Mode::read_write, {})
                   .execute("BEGIN IMMEDIATE"),
               Error)
      << "the transaction is one that others would wait for";
}

// Two connections of one process, and another process that opens and closes the file, as `tidegate events`
// does: the last one to close deletes the WAL, and that must not be the other process.
TEST(State, ASecondConnectionDoesNotGiveUpTheFirstOnesLocks) {
  testing_support::Scratch scratch;
  std::string path = scratch.file("control.db");
  ControlStore first(path);
  sqlite::Database second = open_state(path);
  first.set_fact("step", "before");
  std::string look = "/usr/bin/python3 -c \"import sqlite3; c = sqlite3.connect('" + path +
                     "'); c.execute('SELECT * FROM facts').fetchall(); c.close()\"";
  ASSERT_EQ(std::system(look.c_str()), 0);
  EXPECT_TRUE(std::filesystem::exists(path + "-wal"));
  first.set_fact("step", "after");
  EXPECT_EQ(sqlite::Database(path, sqlite::Database::Mode::read_write, {})
                .text("SELECT value FROM facts WHERE name = 'step'"),
            "after");
}

std::map<std::string, std::string> files_in(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    files[entry.path().filename()] = {std::istreambuf_iterator<char>(file), {}};
  }
  return files;
}

// A daemon that was killed leaves its WAL behind; the next start must find it as it was.
TEST(State, ALookAtWhatAKillLeftChangesNothing) {
  testing_support::Scratch scratch;
  const std::filesystem::path left = scratch.file("killed");
  std::filesystem::create_directory(left);
  {
    ControlStore store(scratch.file("control.db"));
    store.set_fact("step", "hold");
    for (const char* end : {"", "-wal", "-shm"})
      std::filesystem::copy(scratch.file("control.db") + end, left / (std::string("control.db") + end));
  }
  const std::string path = left / "control.db";
  auto before = files_in(left);
  EXPECT_EQ(look_at_fact(path, "step"), "hold");
  EXPECT_EQ(look_at_fact(path, "nothing"), std::nullopt);
  EXPECT_EQ(cutover::RunJournal::look_at(path), nullptr);
  auto after = files_in(left);
  before.erase("control.db-shm");  // an index in memory, which readers share
  after.erase("control.db-shm");
  EXPECT_EQ(before, after);
  EXPECT_EQ(before.size(), 2);
}

TEST(State, ALookAtWhatACleanEndLeftMakesNoFile) {
  testing_support::Scratch scratch;
  const std::filesystem::path folder = scratch.file("100%?#");
  std::filesystem::create_directory(folder);
  const std::string path = folder / "control.db";
  EXPECT_EQ(look_at_fact(path, "step"), std::nullopt);
  cutover::Run run;
  run.id = "r1";
  {
    ControlStore(path).set_fact("step", "watch");
    cutover::RunJournal journal(path);
    journal.begin(run);
  }
  const auto before = files_in(folder);
  EXPECT_EQ(before.size(), 1);
  EXPECT_EQ(look_at_fact(path, "step"), "watch");
  EXPECT_EQ(cutover::RunJournal::look_at(path)->last()->id, "r1");
  EXPECT_EQ(files_in(folder), before);
}

}  // namespace
}  // namespace tidegate
