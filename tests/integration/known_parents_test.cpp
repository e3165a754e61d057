#include "apply/postgres/known_parents.hpp"

#include <gmock/gmock.h>

#include "apply/postgres/chunk_loader.hpp"
#include "server.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing_support::column;
using testing_support::integer;

// Grandparents, parents that refer to them, and children of the parents.
class Family : public testing_support::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (IsSkipped()) return;
    session_ = std::make_unique<TargetSession>(target(), "inc");
    quarantine_ = std::make_unique<Quarantine>(*session_);
    other_->run(
        "CREATE TABLE a(id bigint PRIMARY KEY);"
        "CREATE TABLE b(id bigint PRIMARY KEY, up bigint REFERENCES a);"
        "CREATE TABLE c(id bigint PRIMARY KEY, up bigint REFERENCES b)");
    add("a", {column("id", TargetType::bigint)});
    for (const char* table : {"b", "c"})
      add(table, {column("id", TargetType::bigint), column("up", TargetType::bigint)});
    orphans_.emplace(session_->connection(), true, plans_);
  }
  void add(const std::string& table, std::vector<ColumnPlan> columns) {
    auto plan = testing_support::plan(table, std::move(columns));
    plan.schema = name_;
    plan.from = "source of " + table;
    plans_.emplace(table, plan);
  }
  void load(const std::string& table, const std::vector<Row>& rows) {
    const TablePlan& plan = plans_.at(table);
    RowMapper mapper(plan, testing_support::relation_of(plan));
    auto lines = ChunkLoader::encode_lines(mapper, rows);
    ChunkLoader(*session_, *quarantine_, {}, &*orphans_, &known_)
        .load(mapper, lines, {table, chunk_++, {}, 1, rows.size()});
  }
  std::vector<std::string> held() {
    return rows("SELECT source_table, source_key FROM tidegate.quarantine WHERE pipeline = '" + name_ +
                "' ORDER BY 1, 2");
  }
  static Row row(std::int64_t id, Value up) { return {integer(id), std::move(up)}; }

  Plans plans_;
  std::unique_ptr<TargetSession> session_;
  std::unique_ptr<Quarantine> quarantine_;
  std::optional<OrphanGuard> orphans_;
  KnownParents known_;
  int chunk_ = 0;
};

TEST_F(Family, WhoseParentIsThereComes) {
  load("a", {{integer(1)}, {integer(2)}});
  load("b", {row(10, integer(1)), row(11, Null{}), row(12, integer(2))});
  load("c", {row(100, integer(10)), row(101, integer(12))});
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_THAT(rows("SELECT count(*) FROM c"), ElementsAre("2"));
}

TEST_F(Family, WhatWasTakenOutIsNobodysParent) {
  load("a", {{integer(1)}});
  load("b", {row(10, integer(1)), row(11, integer(7))});
  load("c", {row(100, integer(10)), row(101, integer(11)), row(102, integer(55))});
  EXPECT_THAT(held(), ElementsAre("b|[11]", "c|[101]", "c|[102]"));
  EXPECT_THAT(rows("SELECT id FROM c"), ElementsAre("100"));
}

// A trigger that fires in replica mode too, and leaves a row out.
TEST_F(Family, WhatDidNotArriveIsNobodysParent) {
  other_->run(
      "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 2 THEN RETURN NULL; "
      "END"
      " IF; RETURN NEW; END $$;"
      "CREATE TRIGGER skip BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION skip();"
      "ALTER TABLE a ENABLE ALWAYS TRIGGER skip");
  load("a", {{integer(1)}, {integer(2)}});
  load("b", {row(10, integer(1)), row(11, integer(2))});
  EXPECT_THAT(held(), ElementsAre("b|[11]"));
}

TEST_F(Family, WhatWasSeenInATransactionThatEndedBadlyIsNotKnown) {
  known_.note("x", {"1", "2"});
  EXPECT_TRUE(known_.contains("x", "2"));
  known_.rolled_back();
  EXPECT_FALSE(known_.contains("x", "2"));
  known_.note("x", {"1"});
  known_.committed();
  known_.note("x", {"1", "2"});
  known_.rolled_back();
  EXPECT_FALSE(known_.contains("x", "2"));
  EXPECT_TRUE(known_.contains("x", "1"));
  EXPECT_FALSE(known_.contains("y", "1"));
  known_.forget();
  EXPECT_FALSE(known_.contains("x", "1"));
}

}  // namespace
}  // namespace tidegate
