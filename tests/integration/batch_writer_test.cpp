#include "apply/postgres/batch_writer.hpp"

#include <gmock/gmock.h>

#include "apply/schema/ddl.hpp"
#include "server.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;
using testing_support::code_of;
using testing_support::column;
using testing_support::inserted;
using testing_support::integer;
using testing_support::removed;
using testing_support::text;
using testing_support::updated;
using namespace std::string_literals;

class Writer : public testing_support::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (!IsSkipped()) session_ = std::make_unique<TargetSession>(target(), "inc");
  }
  // A table of the target, and how the source's rows become its rows.
  void table(const std::string& name, const std::string& definition, std::vector<ColumnPlan> columns) {
    other_->run("CREATE TABLE " + name + "(" + definition + ")");
    auto plan = testing_support::plan(name, std::move(columns));
    plan.schema = name_;
    plans_[name] = plan;
  }
  void start() {
    quarantine_ = std::make_unique<Quarantine>(*session_);
    writer_ = std::make_unique<BatchWriter>(*session_, *quarantine_, plans_);
  }
  struct Step {
    std::string table;
    Change change;
  };
  NetChanges net(const std::vector<Step>& steps) {
    if (!writer_) start();
    NetChanges net(plans_);
    for (const auto& step : steps) net.add(testing_support::relation_of(plans_.at(step.table)), step.change);
    return net;
  }
  Position next() {
    auto sequence = session_->position().sequence + 1;
    return {"inc", sequence, "d" + std::to_string(sequence)};
  }
  void write(const std::vector<Step>& steps) {
    auto changes = net(steps);
    auto to = next();
    writer_->write(changes, to);
    EXPECT_EQ(rows("SELECT sequence, digest FROM tidegate.pipelines WHERE pipeline = '" + name_ + "'"),
              std::vector<std::string>{std::to_string(to.sequence) + "|" + to.digest});
  }
  // Key, SQLSTATE or misfit, and what the target has instead.
  std::vector<std::string> held() {
    return rows(
        "SELECT source_table || source_key, coalesce(nullif(sqlstate, ''), reason), target_holds"
        " FROM tidegate.quarantine WHERE pipeline = '" +
        name_ + "' ORDER BY id");
  }

  Plans plans_;
  std::unique_ptr<TargetSession> session_;
  std::unique_ptr<Quarantine> quarantine_;
  std::unique_ptr<BatchWriter> writer_;
};

TEST_F(Writer, WritesDeletesAndPosition) {
  table("t", "id bigint PRIMARY KEY, v text, kept text DEFAULT 'k'",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  write({{"t", inserted({integer(1), text("a")})}, {"t", inserted({integer(2), text("b,\"\\{}")})}});
  other_->run("UPDATE t SET kept = 'changed'");
  write({{"t", updated({integer(2), Null{}})},
         {"t", removed({integer(1), text("a")})},
         {"t", removed({integer(9), Null{}})}});
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("2|-|changed"));
  write({});
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Writer, AKeyAloneIsARow) {
  table("t", "id bigint PRIMARY KEY", {column("id", TargetType::bigint)});
  write({{"t", inserted({integer(1)})}});
  write({{"t", updated({integer(1)})}, {"t", inserted({integer(2)})}});
  EXPECT_THAT(rows("SELECT id FROM t ORDER BY 1"), ElementsAre("1", "2"));
}

// --- values that rows take from each other ---

class Swap : public Writer, public testing::WithParamInterface<std::pair<const char*, ColumnPlan>> {};

ColumnPlan of_type(TargetType type, bool not_null, int precision = 0, int scale = 0,
                   const char* existing = "") {
  ColumnPlan plan = column("u", type, not_null);
  plan.precision = precision;
  plan.scale = scale;
  plan.existing_type = existing;
  return plan;
}

TEST_P(Swap, OfTwoAndOfThreeRows) {
  auto [definition, plan] = GetParam();
  table("t", "id bigint PRIMARY KEY, u " + std::string(definition) + ", v text",
        {column("id", TargetType::bigint), plan, column("v", TargetType::text)});
  auto value = [&plan](int i) -> Value {
    std::string number = std::to_string(i);
    switch (plan.type) {
      case TargetType::bigint:
      case TargetType::numeric:
      case TargetType::double_precision:
        return integer(i);
      case TargetType::bytea:
        return Blob{number};
      case TargetType::timestamptz:
      case TargetType::date:
        return text("2024-01-0" + number);
      default:
        return text(plan.existing_type == "uuid" ? "00000000-0000-4000-8000-00000000000" + number
                                                 : "abcdefghi" + number);
    }
  };
  auto row = [&](int id, int u) { return Row{integer(id), value(u), text("x")}; };
  write({{"t", inserted(row(1, 1))},
         {"t", inserted(row(2, 2))},
         {"t", inserted(row(3, 3))},
         {"t", inserted(row(4, 4))}});
  write({{"t", updated(row(1, 2))}, {"t", updated(row(2, 1))}, {"t", updated(row(4, 5))}});
  write({{"t", updated(row(1, 3))}, {"t", updated(row(2, 2))}, {"t", updated(row(3, 1))}});
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_THAT(rows("SELECT id FROM t ORDER BY u"), ElementsAre("3", "2", "1", "4"));
}

INSTANTIATE_TEST_SUITE_P(
    Types, Swap,
    testing::Values(std::pair{"text NOT NULL UNIQUE", of_type(TargetType::text, true)},
                    std::pair{"text UNIQUE", of_type(TargetType::text, false)},
                    std::pair{"varchar(10) NOT NULL UNIQUE", of_type(TargetType::varchar, true, 10)},
                    std::pair{"varchar(80) NOT NULL UNIQUE", of_type(TargetType::varchar, true, 80)},
                    std::pair{"bigint NOT NULL UNIQUE", of_type(TargetType::bigint, true)},
                    std::pair{"integer NOT NULL UNIQUE", of_type(TargetType::bigint, true, 0, 0, "integer")},
                    std::pair{"double precision NOT NULL UNIQUE",
                              of_type(TargetType::double_precision, true)},
                    std::pair{"numeric(10,2) NOT NULL UNIQUE", of_type(TargetType::numeric, true, 10, 2)},
                    std::pair{"bytea NOT NULL UNIQUE", of_type(TargetType::bytea, true)},
                    std::pair{"timestamptz NOT NULL UNIQUE", of_type(TargetType::timestamptz, true)},
                    std::pair{"date NOT NULL UNIQUE", of_type(TargetType::date, true)},
                    std::pair{"uuid NOT NULL UNIQUE", of_type(TargetType::text, true, 0, 0, "uuid")}));

TEST_F(Writer, ASwapThroughAnExpressionIndex) {
  table("t", "id bigint PRIMARY KEY, u text NOT NULL",
        {column("id", TargetType::bigint), column("u", TargetType::text, true)});
  other_->run("CREATE UNIQUE INDEX ON t (lower(u))");
  write({{"t", inserted({integer(1), text("a")})}, {"t", inserted({integer(2), text("b")})}});
  write({{"t", updated({integer(1), text("B")})}, {"t", updated({integer(2), text("A")})}});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|B", "2|A"));
}

TEST_F(Writer, ACheckThatForbidsParkingQuarantinesAndLeavesNoParkedValue) {
  table("t", "id bigint PRIMARY KEY, u text NOT NULL UNIQUE CHECK (u ~ '^.$')",
        {column("id", TargetType::bigint), column("u", TargetType::text, true)});
  write({{"t", inserted({integer(1), text("a")})}, {"t", inserted({integer(2), text("b")})}});
  write({{"t", updated({integer(1), text("b")})},
         {"t", updated({integer(2), text("a")})},
         {"t", inserted({integer(3), text("c")})}});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|a", "2|b", "3|c"));
  EXPECT_THAT(held(), UnorderedElementsAre("t[1]|23505|old row", "t[2]|23505|old row"));
}

// One of the three cannot be written at all: its value stays where it is, and so must the others'.
TEST_F(Writer, ARefusedRowInACycleLeavesNoParkedValue) {
  table("t", "id bigint PRIMARY KEY, u text NOT NULL UNIQUE, n bigint CHECK (n < 10)",
        {column("id", TargetType::bigint), column("u", TargetType::text, true),
         column("n", TargetType::bigint)});
  write({{"t", inserted({integer(1), text("a"), integer(0)})},
         {"t", inserted({integer(2), text("b"), integer(0)})},
         {"t", inserted({integer(3), text("c"), integer(0)})}});
  write({{"t", updated({integer(1), text("b"), integer(1)})},
         {"t", updated({integer(2), text("c"), integer(99)})},
         {"t", updated({integer(3), text("a"), integer(1)})}});
  EXPECT_THAT(rows("SELECT u FROM t WHERE u LIKE 'parked%'"), IsEmpty());
  EXPECT_THAT(rows("SELECT id, u FROM t WHERE id = 2"), ElementsAre("2|b"));
  EXPECT_THAT(held(), testing::Contains("t[2]|23514|old row"));
}

TEST_F(Writer, AValueThatADeletedRowFreesIsTaken) {
  table("t", "id bigint PRIMARY KEY, u text NOT NULL UNIQUE",
        {column("id", TargetType::bigint), column("u", TargetType::text, true)});
  write({{"t", inserted({integer(1), text("a")})}});
  write({{"t", inserted({integer(2), text("a")})}, {"t", removed({integer(1), text("a")})}});
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("2|a"));
  EXPECT_THAT(held(), IsEmpty());
}

// --- rows that the target refuses ---

TEST_F(Writer, OneRejectedRowOfAThousandIsNamedAndNoOther) {
  table("t", "id bigint PRIMARY KEY, v text CHECK (v <> 'bad')",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  std::vector<Step> steps;
  for (std::int64_t id = 0; id < 1000; ++id)
    steps.push_back({"t", inserted({integer(id), text(id == 617 ? "bad" : "good")})});
  write(steps);
  EXPECT_THAT(rows("SELECT count(*), sum(id) FROM t"),
              ElementsAre("999|" + std::to_string(999 * 1000 / 2 - 617)));
  EXPECT_THAT(held(), ElementsAre("t[617]|23514|none"));
  write({{"t", updated({integer(5), text("bad")})}});
  EXPECT_THAT(held(), ElementsAre("t[617]|23514|none", "t[5]|23514|old row"));
  EXPECT_THAT(rows("SELECT v FROM t WHERE id = 5"), ElementsAre("good"));
}

TEST_F(Writer, ARowThatFitsAgainLeavesTheQuarantineInTheSameTransaction) {
  table("t", "id bigint PRIMARY KEY, v text CHECK (v <> 'bad')",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  write({{"t", inserted({integer(1), text("bad")})},
         {"t", inserted({integer(2), text("nul \0"s)})},
         {"t", inserted({integer(3), text("\xff")})}});
  EXPECT_EQ(held().size(), 3u);
  EXPECT_EQ(quarantine_->size(), 3u);
  write({{"t", updated({integer(1), text("good")})},
         {"t", updated({integer(2), text("good")})},
         {"t", removed({integer(3), text("\xff")})}});
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_TRUE(quarantine_->empty());
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|good", "2|good"));
}

TEST_F(Writer, WhatTheTargetHoldsMeanwhileIsTrue) {
  table("t", "id bigint PRIMARY KEY, n bigint CHECK (n < 10)",
        {column("id", TargetType::bigint), column("n", TargetType::bigint)});
  write({{"t", inserted({integer(1), integer(1)})}});
  write({{"t", updated({integer(1), integer(99)})},  // refused by the target
         {"t", updated({integer(2), integer(99)})},  // and never was there
         {"t", updated({integer(3), text("x")})}});  // refused by us
  EXPECT_THAT(held(),
              UnorderedElementsAre("t[1]|23514|old row", "t[2]|23514|none", "t[3]|not_a_number|none"));
  other_->run("DELETE FROM t; INSERT INTO t VALUES (3, 3)");  // as somebody may who has the right
  write({{"t", updated({integer(1), text("x")})},
         {"t", inserted({integer(3), integer(99)})},
         {"t", updated({text("no key"), integer(1)})}});
  EXPECT_THAT(held(), UnorderedElementsAre("t[1]|not_a_number|none", "t[2]|23514|none", "t[3]|23514|old row",
                                           "t[\"no key\"]|not_a_number|none"));
}

TEST_F(Writer, ARestartKnowsWhatIsHeld) {
  table("t", "id bigint PRIMARY KEY, v text",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  write({{"t", inserted({integer(1), text("\xff")})}});
  start();
  EXPECT_TRUE(quarantine_->holds("t", "[1]"));
  write({{"t", updated({integer(1), text("good")})}});
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Writer, AHeldRowThatIsRefusedAgainStaysHeld) {
  table("t", "id bigint PRIMARY KEY, v text CHECK (v <> 'bad')",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  write({{"t", inserted({integer(1), text("\xff")})}});
  write({{"t", updated({integer(1), text("bad")})}});
  EXPECT_THAT(held(), ElementsAre("t[1]|23514|none"));
  EXPECT_EQ(quarantine_->size(), 1u);
  write({{"t", updated({integer(1), text("good")})}});
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_TRUE(quarantine_->empty());
}

TEST_F(Writer, AcceptedRowsAreOutOfTheCountUntilTheyChange) {
  table("t", "id bigint PRIMARY KEY, v text",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  write({{"t", inserted({integer(1), text("\xff")})}, {"t", inserted({integer(2), text("\xff")})}});
  auto entries = list_quarantine(*other_, name_);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(decode_row(entries[0].key_bytes), Row{integer(1)});
  EXPECT_EQ(accept_quarantine(*other_, name_, {entries[0].id}, "old"), 1);
  EXPECT_EQ(count_quarantine(*session_).at("t"), 1u);
  EXPECT_EQ(accept_quarantine(*other_, name_, {}, "all"), 1);
  EXPECT_TRUE(count_quarantine(*session_).empty());
  write({{"t", updated({integer(1), text("\xfe")})}});
  EXPECT_EQ(count_quarantine(*session_).at("t"), 1u);
}

// A misfit in a batch that is then written row by row must be known as held afterwards.
TEST_F(Writer, WhatIsHeldIsKnownAfterABatchThatWasWrittenCarefully) {
  table("t", "id bigint PRIMARY KEY, v text CHECK (v <> 'bad')",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  write({{"t", inserted({integer(1), text("\xff")})}, {"t", inserted({integer(2), text("bad")})}});
  EXPECT_TRUE(quarantine_->holds("t", "[1]"));
  EXPECT_TRUE(quarantine_->holds("t", "[2]"));
  write({{"t", updated({integer(1), text("good")})},
         {"t", updated({integer(2), text("good")})},
         {"t", inserted({integer(3), text("bad")})}});
  EXPECT_THAT(held(), ElementsAre("t[3]|23514|none"));
  EXPECT_FALSE(quarantine_->holds("t", "[1]"));
}

// --- the rest of the contract ---

TEST_F(Writer, AFailedWriteWritesNothing) {
  table("t", "id bigint PRIMARY KEY", {column("id", TargetType::bigint)});
  start();
  plans_["u"] = plans_["t"];
  plans_["u"].source = "u";
  plans_["u"].target = "missing";
  auto changes = net({{"t", inserted({integer(1)})}, {"u", inserted({integer(1)})}});
  EXPECT_EQ(code_of([&] { writer_->write(changes, next()); }), "42P01");
  EXPECT_THAT(rows("SELECT * FROM t"), IsEmpty());
}

TEST_F(Writer, WhoWasTakenOverWritesNothing) {
  table("t", "id bigint PRIMARY KEY, v text CHECK (v <> 'bad')",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  start();
  TargetSession successor(target(), "inc");
  auto changes = net({{"t", inserted({integer(1), text("a")})}});
  EXPECT_EQ(code_of([&] { writer_->write(changes, next()); }), "TG001");
  EXPECT_THAT(rows("SELECT * FROM t"), IsEmpty());
}

TEST_F(Writer, ALongTransactionIsAllOrNothing) {
  table("t", "id bigint PRIMARY KEY, v text",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  auto first = net({{"t", inserted({integer(1), text("a")})}}),
       second = net({{"t", inserted({integer(2), text("\xff")})}});
  auto to = next();
  writer_->begin_long();
  writer_->add(first, to.sequence);
  writer_->add(second, to.sequence);
  EXPECT_THAT(rows("SELECT * FROM t"), IsEmpty());
  EXPECT_THAT(held(), IsEmpty());
  writer_->commit_long(to);
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("1|a"));
  EXPECT_THAT(held(), ElementsAre("t[2]|invalid_utf8|none"));
  EXPECT_EQ(session_->position(), to);
}

TEST_F(Writer, ALaterPartOfALongTransactionResolvesAConflict) {
  table("t", "id bigint PRIMARY KEY, u text NOT NULL UNIQUE",
        {column("id", TargetType::bigint), column("u", TargetType::text, true)});
  write({{"t", inserted({integer(1), text("a")})},
         {"t", inserted({integer(2), text("b")})},
         {"t", inserted({integer(3), text("c")})}});
  auto first = net({{"t", updated({integer(1), text("b")})}, {"t", updated({integer(3), text("x")})}});
  auto second = net({{"t", updated({integer(2), text("c")})}});
  auto to = next();
  writer_->begin_long();
  writer_->add(first, to.sequence);
  writer_->add(second, to.sequence);
  writer_->commit_long(to);
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|b", "2|c", "3|x"));
}

TEST_F(Writer, ASwapOverThePartsOfALongTransaction) {
  table("t", "id bigint PRIMARY KEY, u text NOT NULL UNIQUE",
        {column("id", TargetType::bigint), column("u", TargetType::text, true)});
  write({{"t", inserted({integer(1), text("a")})}, {"t", inserted({integer(2), text("b")})}});
  auto first = net({{"t", updated({integer(1), text("b")})}}),
       second = net({{"t", updated({integer(2), text("a")})}});
  writer_->begin_long();
  writer_->add(first, 1);
  writer_->add(second, 2);
  writer_->commit_long(next());
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|b", "2|a"));
}

// The first part holds whole transactions; a row of them that still waits is changed again by the long one.
TEST_F(Writer, ARowThatWaitsAndComesAgainIsWhatItIsLast) {
  table("t", "id bigint PRIMARY KEY, u text NOT NULL UNIQUE",
        {column("id", TargetType::bigint), column("u", TargetType::text, true)});
  write({{"t", inserted({integer(1), text("a")})},
         {"t", inserted({integer(2), text("b")})},
         {"t", inserted({integer(3), text("c")})}});
  auto first = net({{"t", updated({integer(1), text("b")})}, {"t", updated({integer(3), text("b")})}});
  auto second = net({{"t", updated({integer(1), text("z")})}, {"t", removed({integer(3), text("b")})}});
  writer_->begin_long();
  writer_->add(first, 1);
  writer_->add(second, 2);
  writer_->commit_long(next());
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|z", "2|b"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Writer, ARowThatIsHeldAndFitsAgainInOneLongTransactionIsFree) {
  table("t", "id bigint PRIMARY KEY, v text CHECK (v <> 'bad')",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  auto first =
      net({{"t", inserted({integer(1), text("\xff")})}, {"t", inserted({integer(2), text("\xff")})}});
  auto second = net({{"t", updated({integer(1), text("good")})}, {"t", inserted({integer(3), text("bad")})}});
  writer_->begin_long();
  writer_->add(first, 1);
  writer_->add(second, 2);
  writer_->commit_long(next());
  EXPECT_THAT(held(), ElementsAre("t[2]|invalid_utf8|none", "t[3]|23514|none"));
  EXPECT_FALSE(quarantine_->holds("t", "[1]"));
  EXPECT_TRUE(quarantine_->holds("t", "[2]"));
  EXPECT_EQ(quarantine_->size(), 2u);
}

// --- foreign keys of tables that are not replicated ---

TEST_F(Writer, OutsideReferencesFollowTheirActions) {
  table("t", "id bigint PRIMARY KEY", {column("id", TargetType::bigint)});
  other_->run(
      "CREATE TABLE cascades(id int PRIMARY KEY, t bigint REFERENCES t ON DELETE CASCADE);"
      "CREATE TABLE grandchild(c int REFERENCES cascades ON DELETE CASCADE);"
      "CREATE TABLE sets_null(id int, t bigint REFERENCES t ON DELETE SET NULL);"
      "CREATE TABLE sets_default(id int, t bigint DEFAULT 4 REFERENCES t ON DELETE SET DEFAULT);"
      "CREATE TABLE restricts(t bigint REFERENCES t)");
  write({{"t", inserted({integer(1)})},
         {"t", inserted({integer(2)})},
         {"t", inserted({integer(3)})},
         {"t", inserted({integer(4)})}});
  other_->run(
      "INSERT INTO cascades VALUES (1, 1), (2, 2), (3, 4); INSERT INTO grandchild VALUES (1), (3);"
      "INSERT INTO sets_null VALUES (1, 1), (4, 4); INSERT INTO sets_default VALUES (1, 1); INSERT INTO "
      "restricts VALUES (3)");
  write({{"t", removed({integer(1)})},
         {"t", removed({integer(2)})},
         {"t", removed({integer(3)})},
         {"t", inserted({integer(5)})}});
  EXPECT_THAT(rows("SELECT id FROM t ORDER BY id"), ElementsAre("3", "4", "5"));
  EXPECT_THAT(rows("SELECT id FROM cascades"), ElementsAre("3"));
  EXPECT_THAT(rows("SELECT c FROM grandchild"), ElementsAre("3"));
  EXPECT_THAT(rows("SELECT * FROM sets_null ORDER BY id"), ElementsAre("1|-", "4|4"));
  EXPECT_THAT(rows("SELECT * FROM sets_default"), ElementsAre("1|4"));
  EXPECT_THAT(held(), ElementsAre("t[3]|23503|old row"));
  other_->run("DELETE FROM restricts");
  write({{"t", removed({integer(3)})}});
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_THAT(rows("SELECT id FROM t ORDER BY id"), ElementsAre("4", "5"));
}

// Replica mode is on again after the actions: the application's own triggers must not fire for our rows.
TEST_F(Writer, TriggersStayOffAfterOutsideActions) {
  table("t", "id bigint PRIMARY KEY, v text",
        {column("id", TargetType::bigint), column("v", TargetType::text)});
  other_->run(
      "CREATE TABLE child(t bigint REFERENCES t ON DELETE CASCADE);"
      "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'TRIGGER'; RETURN NEW; "
      "END $$;"
      "CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION shout()");
  write({{"t", inserted({integer(1), text("a")})}, {"t", inserted({integer(2), text("b")})}});
  write({{"t", removed({integer(1), text("a")})}, {"t", updated({integer(2), text("c")})}});
  EXPECT_THAT(rows("SELECT v FROM t"), ElementsAre("c"));
}

// --- foreign keys that the target itself checks ---

// Its role may not switch them off.
class Checked : public Writer {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (IsSkipped()) return;
    session_ = std::make_unique<TargetSession>(target_without_replica_mode(), "inc");
    ASSERT_FALSE(session_->replica_mode());
  }
  void families(const std::string& reference) {
    table("parent", "id bigint PRIMARY KEY, friend_id bigint",
          {column("id", TargetType::bigint), column("friend_id", TargetType::bigint)});
    table("child", "id bigint PRIMARY KEY, parent_id bigint REFERENCES parent " + reference,
          {column("id", TargetType::bigint), column("parent_id", TargetType::bigint)});
    other_->run("GRANT ALL ON parent, child TO tidegate_plain");
  }
  static Row row(int id, int other) { return {integer(id), integer(other)}; }
};

class CheckedWhen : public Checked, public testing::WithParamInterface<const char*> {};

TEST_P(CheckedWhen, AViolationIsNamedAndTheRestIsWritten) {
  families(GetParam());
  write({{"child", inserted(row(1, 1))},
         {"child", inserted(row(2, 9))},
         {"child", inserted(row(3, 1))},
         {"parent", inserted(row(1, 0))}});
  EXPECT_THAT(rows("SELECT * FROM child ORDER BY id"), ElementsAre("1|1", "3|1"));
  EXPECT_THAT(held(), ElementsAre("child[2]|23503|none"));
  write({{"child", updated(row(2, 1))}});
  EXPECT_THAT(rows("SELECT id FROM child ORDER BY id"), ElementsAre("1", "2", "3"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_P(CheckedWhen, AParentAndItsChildrenGoTogether) {
  families(GetParam());
  write({{"parent", inserted(row(1, 0))}, {"parent", inserted(row(2, 0))}, {"child", inserted(row(1, 1))}});
  write({{"parent", removed(row(1, 0))}, {"child", updated(row(1, 2))}, {"child", inserted(row(2, 9))}});
  EXPECT_THAT(rows("SELECT id FROM parent"), ElementsAre("2"));
  EXPECT_THAT(held(), ElementsAre("child[2]|23503|none"));
  write({{"parent", removed(row(2, 0))}, {"child", removed(row(1, 2))}});
  EXPECT_THAT(rows("SELECT id FROM parent"), IsEmpty());
  EXPECT_THAT(held(), ElementsAre("child[2]|23503|none"));
}

TEST_P(CheckedWhen, ADeleteThatIsRefusedIsNamed) {
  families(GetParam());
  write({{"parent", inserted(row(1, 0))}, {"child", inserted(row(1, 1))}});
  write({{"parent", removed(row(1, 0))}, {"parent", inserted(row(2, 0))}});
  EXPECT_THAT(rows("SELECT id FROM parent ORDER BY id"), ElementsAre("1", "2"));
  EXPECT_THAT(held(), ElementsAre("parent[1]|23503|old row"));
}

TEST_P(CheckedWhen, InALongTransactionToo) {
  families(GetParam());
  write({{"parent", inserted(row(1, 0))}, {"child", inserted(row(1, 1))}});
  writer_->begin_long();
  auto to = next();
  writer_->add(net({{"child", inserted(row(2, 2))}, {"parent", removed(row(1, 0))}}), to.sequence);
  writer_->add(net({{"child", inserted(row(3, 9))}, {"child", removed(row(1, 1))}}), to.sequence);
  writer_->add(net({{"parent", inserted(row(2, 0))}}), to.sequence);
  writer_->commit_long(to);
  EXPECT_THAT(rows("SELECT * FROM child"), ElementsAre("2|2"));
  EXPECT_THAT(rows("SELECT id FROM parent"), ElementsAre("2"));
  EXPECT_THAT(held(), ElementsAre("child[3]|23503|none"));
}

INSTANTIATE_TEST_SUITE_P(Checks, CheckedWhen,
                         testing::Values("", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"));

TEST_F(Checked, RowsThatReferToEachOtherPassTogether) {
  families("");
  other_->run(
      "ALTER TABLE parent ADD FOREIGN KEY (friend_id) REFERENCES child DEFERRABLE INITIALLY DEFERRED");
  write({{"parent", inserted(row(1, 1))}, {"child", inserted(row(1, 1))}});
  EXPECT_THAT(held(), IsEmpty());
  writer_->begin_long();
  auto to = next();
  writer_->add(net({{"parent", inserted(row(2, 2))}, {"child", inserted(row(2, 2))}}), to.sequence);
  writer_->commit_long(to);
  EXPECT_THAT(rows("SELECT id FROM parent ORDER BY id"), ElementsAre("1", "2"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Checked, AUniqueConstraintThatIsDeferredIsMetBeforeTheCommit) {
  table("t", "id bigint PRIMARY KEY, u text UNIQUE DEFERRABLE INITIALLY DEFERRED",
        {column("id", TargetType::bigint), column("u", TargetType::text)});
  other_->run("GRANT ALL ON t TO tidegate_plain");
  write({{"t", inserted({integer(1), text("a")})}, {"t", inserted({integer(2), text("b")})}});
  write({{"t", updated({integer(1), text("b")})}, {"t", updated({integer(2), text("a")})}});
  write({{"t", inserted({integer(3), text("a")})}, {"t", inserted({integer(4), text("c")})}});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|b", "2|a", "4|c"));
  EXPECT_THAT(held(), ElementsAre("t[3]|23505|none"));
}

// --- identity ---

TEST_F(Writer, SequencesFollowTheHighestId) {
  auto id = column("id", TargetType::bigint);
  id.identity = true;
  table("t", "id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v text CHECK (v <> 'bad')",
        {id, column("v", TargetType::text)});
  auto next_id = [&] { return rows("INSERT INTO t(v) VALUES ('new') RETURNING id").at(0); };
  write({{"t", inserted({integer(41), text("a")})}, {"t", inserted({integer(7), text("b")})}});
  EXPECT_EQ(next_id(), "42");
  write({{"t", inserted({integer(50), text("a")})},
         {"t", inserted({integer(51), text("bad")})}});  // row by row
  EXPECT_EQ(next_id(), "52");  // the source gave 51 out, though the target has no such row
  start();                     // what it knew is forgotten
  write({{"t", updated({integer(41), text("z")})}});
  EXPECT_EQ(next_id(), "53");
  auto changes =
      net({{"t", inserted({integer(60), text("a")})}, {"t", inserted({integer(61), text("bad")})}});
  writer_->begin_long();
  writer_->add(changes, 9);
  writer_->commit_long(next());
  EXPECT_EQ(next_id(), "62");
}

// The load's end sets the sequences beside a writer that remembers how far it lifted them.
TEST_F(Writer, AnIdThatCameAndWentIsNotGivenOutAgainAfterTheLoad) {
  auto id = column("id", TargetType::bigint);
  id.identity = true;
  table("t", "id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", {id});
  write({{"t", inserted({integer(9)})}});
  write({{"t", inserted({integer(10)})}});
  write({{"t", removed({integer(10)})}});
  SourceTable source;
  source.name = "t";
  source.last_sequence = 9;
  other_->run(identity_restart(source, plans_.at("t")));
  write({{"t", inserted({integer(10)})}});
  EXPECT_THAT(rows("INSERT INTO t DEFAULT VALUES RETURNING id"), ElementsAre("11"));
}

}  // namespace
}  // namespace tidegate
