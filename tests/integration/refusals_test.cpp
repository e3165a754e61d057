#include "apply/postgres/refusals.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "apply/postgres/target_fence.hpp"
#include "server.hpp"

namespace tidegate {
namespace {

using testing::Optional;
using testing_support::code_of;

// The fence of one table, before an application that has no right on tidegate's schema.
class Refusals : public testing_support::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (IsSkipped()) return;
    session_.emplace(target(), "inc");
    if (rows("SELECT FROM pg_catalog.pg_roles WHERE rolname = 'tidegate_app'").empty())
      other_->run("CREATE ROLE tidegate_app; GRANT tidegate_app TO CURRENT_USER");
    plan_ = testing_support::plan("t", {testing_support::column("a", TargetType::bigint)});
    plan_.schema = name_;
    other_->run(
        fmt::format("CREATE TABLE t(a bigint); GRANT ALL ON SCHEMA {0} TO tidegate_app; GRANT ALL ON t TO "
                    "tidegate_app",
                    tidegate::quoted(name_)));
    other_->run("SET ROLE tidegate_app");
    fence_target(*session_, {plan_});
  }
  std::optional<std::uint64_t> counted() { return refusals(session_->connection(), name_); }
  std::string write() {
    return code_of([&] { other_->run("INSERT INTO t VALUES (1), (2)"); });
  }

  std::optional<TargetSession> session_;
  TablePlan plan_;
};

TEST_F(Refusals, AreCountedThoughTheyAreRolledBack) {
  EXPECT_THAT(counted(), Optional(0));
  EXPECT_EQ(write(), "25006");
  EXPECT_THAT(counted(), Optional(1)) << "a statement, not a row";
  other_->run("BEGIN; SAVEPOINT s");
  EXPECT_EQ(code_of([&] { other_->run("DELETE FROM t"); }), "25006");
  other_->run("ROLLBACK TO s; SELECT 1; ROLLBACK");
  EXPECT_THAT(counted(), Optional(2));
  session_->connection().run(fmt::format("INSERT INTO {} VALUES (3)", quoted_name(plan_)));
  EXPECT_THAT(counted(), Optional(2)) << "tidegate passes";
}

TEST_F(Refusals, TheRefusedRoleHasNoRightOnTheCount) {
  EXPECT_EQ(code_of([&] { other_->run("SELECT tidegate.refuse_write()"); }), "42501");
  EXPECT_EQ(
      code_of([&] { other_->run("SELECT * FROM tidegate." + tidegate::quoted(refusal_sequence(name_))); }),
      "42501");
}

TEST_F(Refusals, WhatCannotBeCountedIsRefusedAllTheSame) {
  forget_refusals(session_->connection(), name_);
  EXPECT_EQ(write(), "25006");
  EXPECT_EQ(counted(), std::nullopt);
}

TEST_F(Refusals, AFenceOfTheSecondVersionIsRefusedAndCountsNothing) {
  auto& server = session_->connection();
  server.run(fmt::format(
      "DROP TRIGGER _tidegate_fence ON {0}; CREATE TRIGGER _tidegate_fence BEFORE INSERT OR UPDATE OR "
      "DELETE OR TRUNCATE ON {0} FOR EACH STATEMENT EXECUTE FUNCTION tidegate.refuse_write()",
      quoted_name(plan_)));
  EXPECT_EQ(write(), "25006");
  EXPECT_THAT(counted(), Optional(0));
}

TEST_F(Refusals, AnEarlierVersionsSchemaBecomesThisOne) {
  const std::string third =
      "UPDATE tidegate.version SET number = 3 WHERE number = 4; DROP TABLE tidegate.adopted;";
  const std::string second =
      third +
      "UPDATE tidegate.version SET number = 2 WHERE number = 3; ALTER TABLE tidegate.live_side DROP COLUMN "
      "refused_before";
  std::int64_t writes = 0;
  for (const auto& version : {second, third}) {
    session_->connection().run(version);
    session_.emplace(target(), "inc");
    EXPECT_EQ(write(), "25006");
    EXPECT_THAT(counted(), Optional(++writes));
    EXPECT_EQ(session_->connection().run("SELECT count(*) FROM tidegate.adopted").integer(0, 0), 0);
  }
}

}  // namespace
}  // namespace tidegate
