// Rows that go when a way back is built anew: those whose keys the target does not name, and no others.
#include "apply/sqlite/surplus_rows.hpp"

#include <gmock/gmock.h>

#include <memory>

#include "apply/sqlite/sqlite_sink.hpp"
#include "db/error.hpp"
#include "support/live_file.hpp"
#include "support/plans.hpp"

namespace tidegate {
namespace {

using namespace testing_support;
using testing::ElementsAre;

class SurplusRowsTest : public ::testing::Test {
 protected:
  // A table `word (a, b)` with a key of text or integers.
  void make(const std::string& sql, const std::vector<std::string>& key, bool without_rowid) {
    app_.execute(sql);
    SourceTable source;
    source.name = "word";
    source.columns = {{"a", "TEXT", true, {}, "NOCASE", {}, false},
                      {"b", "INTEGER", true, {}, "BINARY", {}, false}};
    source.primary_key = key;
    source.without_rowid = without_rowid;
    table_ = plan_back(testing_support::plan("word", {column("a", TargetType::text, true),
                                                      column("b", TargetType::bigint, true)}),
                       source)
                 .table;
    file_ = std::make_unique<LegacyFile>(live_.path(), "p");
    file_->begin_anew({"journal-2", 7, "start"});
  }
  std::vector<std::string> rows() {
    std::vector<std::string> found;
    auto rows = app_.prepare("SELECT a || b FROM word ORDER BY a COLLATE BINARY, b");
    while (rows.step()) found.push_back(rows.text(0));
    return found;
  }

  LiveFile live_;
  sqlite::Database app_ = wal_writer_of(live_.path());
  ReverseTable table_;
  std::unique_ptr<LegacyFile> file_;
};

TEST_F(SurplusRowsTest, WhatTheTargetDoesNotNameGoes) {
  make(
      "CREATE TABLE word (a TEXT COLLATE NOCASE PRIMARY KEY, b INTEGER NOT NULL); INSERT INTO word VALUES "
      "('x', 1), ('Y', 2), ('z', 3)",
      {"a"}, false);
  SurplusRows surplus(*file_, table_, {0});
  surplus.target_has({text("x")});
  surplus.target_has({text("y")});  // another row: the file's 'Y' is not what the target means
  surplus.target_has({text("new")});
  EXPECT_EQ(surplus.remove(), 2);
  EXPECT_THAT(rows(), ElementsAre("x1"));
}

TEST_F(SurplusRowsTest, ATableWithoutRowidIsKnownByItsKey) {
  make(
      "CREATE TABLE word (a TEXT COLLATE NOCASE, b INTEGER, PRIMARY KEY (b, a)) WITHOUT ROWID; INSERT INTO "
      "word VALUES ('x', 1), ('x', 2), ('y', 1)",
      {"b", "a"}, true);
  SurplusRows surplus(*file_, table_, {1, 0});
  surplus.target_has({text("1"), text("x")});
  surplus.target_has({text("1"), text("x")});
  EXPECT_EQ(surplus.remove(), 2);
  EXPECT_THAT(rows(), ElementsAre("x1"));
}

TEST_F(SurplusRowsTest, WhatTheTargetNeverTookStays) {
  make(
      "CREATE TABLE word (a TEXT PRIMARY KEY, b INTEGER NOT NULL); INSERT INTO word VALUES ('x', 1), ('y', "
      "2), ('z', 3)",
      {"a"}, false);
  SurplusRows surplus(*file_, table_, {0});
  surplus.target_has({text("x")});
  LegacyTable legacy(file_->database(), table_, {1});
  surplus.keep(*legacy.find({Value(std::int64_t{3})}));
  EXPECT_EQ(surplus.remove(), 1);
  EXPECT_THAT(rows(), ElementsAre("x1", "z3"));
}

TEST_F(SurplusRowsTest, AnEmptyTargetLeavesNothing) {
  make("CREATE TABLE word (a TEXT PRIMARY KEY, b INTEGER NOT NULL); INSERT INTO word VALUES ('x', 1)", {"a"},
       false);
  EXPECT_EQ(SurplusRows(*file_, table_, {0}).remove(), 1);
}

TEST_F(SurplusRowsTest, AnEarlierWayBackIsForgottenAndCannotWrite) {
  make("CREATE TABLE word (a TEXT PRIMARY KEY, b INTEGER NOT NULL)", {"a"}, false);
  LegacyFile earlier(live_.path(), "p");
  earlier.begin({"journal-2", 7, "start"});
  earlier.hold({"word", "[\"x\"]", "", "check", 7});
  file_->begin_anew({"journal-3", 0, ""});
  EXPECT_EQ(file_->rejects(), 0u);
  EXPECT_EQ(file_->position().incarnation, "journal-3");
  EXPECT_THROW(earlier.enter(), Error);
  EXPECT_THROW(earlier.begin({"journal-2", 7, "start"}), Refused);
  EXPECT_THROW(LegacyFile(live_.path(), "another").begin_anew({"journal-4", 0, ""}), Refused);
}

}  // namespace
}  // namespace tidegate
