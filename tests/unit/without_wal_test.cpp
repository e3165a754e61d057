// A source that is not in WAL mode: whoever reads it keeps the application from writing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/capture_rig.hpp"

namespace tidegate {
namespace {

using testing_support::CaptureRig;

class WithoutWal : public testing::Test {
 protected:
  WithoutWal() {
    rig_.app().text("PRAGMA journal_mode = DELETE");
    rig_.app().execute("PRAGMA busy_timeout = 0");
    rig_.restart();
  }
  CaptureRig rig_{
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE u(k TEXT NOT NULL PRIMARY KEY, a);"
      "INSERT INTO t VALUES (1, 'x'); INSERT INTO u VALUES ('b', 2.5), ('a', NULL)"};
};

// However long it takes to write the shadow, the application's commits do not wait for that.
TEST_F(WithoutWal, TheApplicationWritesWhileTheShadowIsFilled) {
  int writes = 0;
  auto filled = rig_.capture().begin_fill([](const std::string&, std::uint64_t) {});
  rig_.capture().fill([&](const std::string&, std::uint64_t) {
    rig_.app().execute("INSERT INTO t(a) VALUES ('later')");
    ++writes;
  });
  EXPECT_EQ(writes, 2);
  ASSERT_EQ(filled.size(), 2u);
  EXPECT_EQ(filled[0].measure.rows, 1u);
  EXPECT_EQ(filled[1].measure.columns.at(1).reals, 1u);
  EXPECT_EQ(rig_.state().integer("SELECT count(*) FROM shadow_1"), 1);
  auto parts = rig_.cut();
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].changes.size(), 2u);
}

TEST_F(WithoutWal, WhatDoesNotFitIntoTheReadLocksTimeNeedsWal) {
  rig_.app().execute(
      "WITH RECURSIVE n(i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM n WHERE i < 150)"
      " INSERT INTO t SELECT i, zeroblob(1000000) FROM n");
  try {
    rig_.fill();
    FAIL() << "150 MB were read";
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.code(), "wal-needed");
  }
  rig_.app().execute("DELETE FROM t WHERE id > 1");  // no lock is left
  EXPECT_FALSE(rig_.capture().filled());
  EXPECT_EQ(rig_.state().integer("SELECT count(*) FROM source_tables"), 0);
  rig_.fill();
  EXPECT_TRUE(rig_.capture().filled());
}

}  // namespace
}  // namespace tidegate
