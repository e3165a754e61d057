#include "replicator/control/store.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "db/error.hpp"
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

}  // namespace
}  // namespace tidegate
