#include "replicator/control/store.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tidegate
