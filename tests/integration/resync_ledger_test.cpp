#include "apply/postgres/resync_ledger.hpp"

#include <gmock/gmock.h>

#include "apply/postgres/resync_merge.hpp"
#include "server.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing_support::code_of;

class Lane : public testing_support::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (IsSkipped()) return;
    other_->run(
        "CREATE TABLE items (id int PRIMARY KEY, mail text UNIQUE, note text, own text DEFAULT 'own')");
    plan_.source = "public.items";
    plan_.schema = name_;
    plan_.target = "items";
    plan_.key = {"id"};
    for (auto [name, type] : {std::pair{"id", "integer"}, {"mail", "text"}, {"note", "text"}}) {
      ColumnPlan column;
      column.source = column.target = name;
      column.type = TargetType::native;
      column.existing_type = type;
      plan_.columns.push_back(column);
    }
  }
  void open(const TargetOptions& options) { session_ = std::make_unique<TargetSession>(options, "inc"); }
  Resync begin(const StagingShape& shape) {
    TargetTransaction transaction(*session_);
    Resync resync = begin_resync(*session_, plan_, shape);
    transaction.commit();
    return resync;
  }
  Resync begin() { return begin({plan_, {}, {}}); }

  // Fills the staging table, and makes the table's rows equal to its rows.
  void merge(const Resync& resync, const std::string& staged, bool may_remove = true) {
    other_->run("INSERT INTO " + quoted_name(*resync.staging) + " " + staged);
    TargetSession lane(*session_, resync.table);
    Quarantine quarantine(lane);
    TablePlan to_be = *resync.staging;
    to_be.source = plan_.source;
    to_be.schema = plan_.schema;
    to_be.target = plan_.target;
    OutsideReferences references(lane, {{to_be.source, to_be}});
    TargetTransaction transaction(lane);
    merge_rows(lane, quarantine, references, {to_be, *resync.staging, may_remove});
    take_over_records(lane, to_be, *resync.staging);
    transaction.commit();
  }
  std::vector<std::string> items() { return rows("SELECT * FROM items ORDER BY id"); }
  std::vector<std::string> held() {
    return rows("SELECT source_table, source_key, sqlstate FROM tidegate.quarantine WHERE pipeline = '" +
                name_ + "' ORDER BY source_key");
  }

  TablePlan plan_;
  std::unique_ptr<TargetSession> session_;
};

TEST_F(Lane, WritesOnlyFromWhereItIs) {
  open(target());
  begin();
  TargetSession lane(*session_, "public.items"), zombie(*session_, "public.items");
  {
    TargetTransaction transaction(lane);
    lane.connection().pipeline({lane.advance_to({"", 9, ""})});
    transaction.commit();
    lane.moved({"", 9, ""});
  }
  EXPECT_EQ(code_of([&] { TargetTransaction transaction(zombie); }), "TG003");
  TargetTransaction stream(*session_);  // the pipeline's own is where it was, and waits for no lane
  TargetTransaction beside(lane);
}

TEST_F(Lane, EndsWithItsLeaseAndWithItsRow) {
  open(target());
  begin();
  TargetSession lane(*session_, "public.items");
  {
    TargetTransaction transaction(*session_);
    end_resync(*session_, "public.items");
    transaction.commit();
  }
  EXPECT_EQ(code_of([&] { TargetTransaction transaction(lane); }), "TG002");
  begin();
  TargetSession heir(target(), "inc");
  EXPECT_EQ(code_of([&] { TargetTransaction transaction(lane); }), "TG001");
}

TEST_F(Lane, MergesWhatDiffersAndKeepsColumnsOfOthers) {
  open(target());
  other_->run("INSERT INTO items VALUES (1, 'a', 'x', 'mine'), (2, 'b', 'x', 'mine'), (3, 'c', 'x', 'mine')");
  merge(begin(), "VALUES (1, 'b', 'x'), (2, 'a', NULL), (4, 'd', 'x')");
  EXPECT_THAT(items(), ElementsAre("1|b|x|mine", "2|a|-|mine", "4|d|x|own"));
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_EQ(read_resyncs(*session_).at(0).state, ResyncState::rejoining);
}

TEST_F(Lane, KeepsRowsOfOthersWhereItMust) {
  open(target());
  other_->run("INSERT INTO items VALUES (1, 'a', 'x'), (7, 'of others', 'x')");
  merge(begin(), "VALUES (1, 'b', 'x')", false);
  EXPECT_THAT(items(), ElementsAre("1|b|x|own", "7|of others|x|own"));
}

TEST_F(Lane, WhatTheTargetRefusesGoesToTheQuarantineUnderTheTablesName) {
  open(target());
  other_->run("CREATE UNIQUE INDEX ON items (note)");
  other_->run("INSERT INTO items VALUES (1, 'a', 'x')");
  merge(begin(), "VALUES (1, 'a', 'x'), (2, 'b', 'same'), (3, 'c', 'same')");
  EXPECT_THAT(items(), ElementsAre("1|a|x|own", "2|b|same|own"));
  EXPECT_THAT(held(), ElementsAre("public.items|[\"3\"]|23505"));
}

TEST_F(Lane, WithoutReplicaModeRowsAreUpdatedInPlace) {
  open(target_without_replica_mode());
  other_->run("GRANT CREATE ON SCHEMA tidegate TO tidegate_plain; ALTER TABLE items OWNER TO tidegate_plain");
  other_->run("CREATE TABLE children (id int REFERENCES items ON DELETE CASCADE)");
  other_->run("INSERT INTO items VALUES (1, 'a', 'x'), (2, 'b', 'x'); INSERT INTO children VALUES (1), (2)");
  merge(begin(), "VALUES (1, 'a', 'new')");
  EXPECT_THAT(items(), ElementsAre("1|a|new|own"));
  EXPECT_THAT(rows("SELECT * FROM children"), ElementsAre("1"));
}

TEST_F(Lane, TheTableGetsTheStagingTablesShape) {
  open(target());
  other_->run("INSERT INTO items VALUES (1, 'a', 'x')");
  StagingShape shape{
      plan_,
      {"ADD COLUMN grade int", "ALTER COLUMN note DROP DEFAULT",
       "ALTER COLUMN note TYPE int USING NULL::int"},
      {"ALTER COLUMN grade SET DEFAULT 7", "ALTER COLUMN grade SET DEFAULT no_such_function()"}};
  ColumnPlan grade = plan_.columns[0];
  grade.source = grade.target = "grade";
  shape.plan.columns.push_back(grade);
  shape.plan.columns[2].existing_type = "integer";
  begin(shape);
  Resync again = begin({shape.plan, {}, {}});  // what the first one did not come to is not forgotten
  merge(again, "(id, mail, note, grade) VALUES (1, 'a', 5, 6)");
  EXPECT_THAT(rows("SELECT id, mail, note, grade FROM items"), ElementsAre("1|a|5|6"));
  other_->run("INSERT INTO items (id, note) VALUES (2, 8)");
  EXPECT_THAT(rows("SELECT note, grade FROM items WHERE id = 2"), ElementsAre("8|7"));
}

TEST_F(Lane, AStoppedTableStaysHeldUntilItIsMerged) {
  open(target());
  {
    TargetTransaction transaction(*session_);
    EXPECT_TRUE(stop_table(*session_, "public.items", "why").held);
    transaction.commit();
  }
  EXPECT_TRUE(begin().held);
  {
    TargetTransaction transaction(*session_);
    stop_table(*session_, "public.items", "again");
    transaction.commit();
  }
  EXPECT_THAT(rows("SELECT relname FROM pg_class WHERE relname = 'resync_' || left(md5('" + name_ +
                   "' || E'\\npublic.items'), 20)"),
              IsEmpty());
  EXPECT_EQ(read_resyncs(*session_).at(0).why, "again");
}

}  // namespace
}  // namespace tidegate
