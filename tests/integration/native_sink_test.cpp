#include <gmock/gmock.h>

#include <chrono>
#include <iostream>

#include "native_rig.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using testing_support::absent_value;
using testing_support::code_of;
using testing_support::text;

class Native : public testing_support::NativeSinkTest {};

TEST_F(Native, InsertsUpdatesAndDeletes) {
  table("t", "id integer PRIMARY KEY, v text, kept text DEFAULT 'k'");
  plans_["t"].columns.pop_back();
  relations_["t"].columns.pop_back();
  write({insert("t", {text("1"), text("a")}), insert("t", {text("2"), text("b,\"\\{} '")}),
         insert("t", {text("3"), Null{}})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|a|k", "2|b,\"\\{} '|k", "3|-|k"));
  other_->run("UPDATE t SET kept = 'changed'");
  write({update("t", {text("2"), Null{}}), remove("t", {text("1"), Null{}}),
         update("t", {text("3"), text("")}), insert("t", {text("4"), text("x")}),
         remove("t", {text("4"), Null{}})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("2|-|changed", "3||changed"));
  write({});
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, ANewKeyIsSetWhereTheOldOneWas) {
  table("t", "id integer PRIMARY KEY, v text, extra text DEFAULT 'of the target'");
  plans_["t"].columns.pop_back();
  relations_["t"].columns.pop_back();
  for (int i : {1, 2, 3}) write({insert("t", {text(std::to_string(i)), text("v" + std::to_string(i))})});
  other_->run("UPDATE t SET extra = 'of ' || id");
  // id = id + 1, as the source did it
  write({update("t", {text("4"), text("v3")}, {text("3"), Null{}}),
         update("t", {text("3"), text("v2")}, {text("2"), Null{}}),
         update("t", {text("2"), text("v1")}, {text("1"), Null{}})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("2|v1|of 1", "3|v2|of 2", "4|v3|of 3"));
  // two rows exchange keys by way of a third
  write({update("t", {text("9"), absent_value}, {text("2"), Null{}}),
         update("t", {text("2"), absent_value}, {text("3"), Null{}}), insert("t", {text("5"), text("v5")}),
         update("t", {text("3"), absent_value}, {text("9"), Null{}}), update("t", {text("3"), text("new")})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"),
              ElementsAre("2|v2|of 2", "3|new|of 1", "4|v3|of 3", "5|v5|of the target"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, UniqueValuesAreExchanged) {
  table("t", "id integer PRIMARY KEY, u integer UNIQUE");
  write({insert("t", {text("1"), text("1")}), insert("t", {text("2"), text("2")})});
  write({update("t", {text("1"), text("-1")}), update("t", {text("2"), text("1")}),
         update("t", {text("1"), text("2")})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|2", "2|1"));
  write({update("t", {text("1"), text("7")}), insert("t", {text("3"), text("2")}),
         remove("t", {text("2"), Null{}}), insert("t", {text("2"), text("1")})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|7", "2|1", "3|2"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, ValuesThatWereNotSentStay) {
  table("t", "id integer PRIMARY KEY, a text, b text, c integer");
  write({insert("t", {text("1"), text("a1"), text("b1"), text("1")}),
         insert("t", {text("2"), text("a2"), text("b2"), text("2")}),
         insert("t", {text("3"), text("a3"), text("b3"), text("3")})});
  write({update("t", {text("1"), absent_value, text("B1"), text("10")}),
         update("t", {text("2"), text("A2"), absent_value, text("20")}),
         update("t", {text("2"), absent_value, absent_value, text("21")}),
         update("t", {text("1"), absent_value, absent_value, text("11")}),
         update("t", {text("3"), absent_value, absent_value, text("30")}),
         update("t", {text("3"), text("A3"), text("B3"), text("31")}),
         update("t", {text("3"), absent_value, absent_value, text("32")}),
         insert("t", {text("4"), text("a4"), text("b4"), text("4")}),
         update("t", {text("4"), absent_value, Null{}, text("40")})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"),
              ElementsAre("1|a1|B1|11", "2|A2|b2|21", "3|A3|B3|32", "4|a4|-|40"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, ARowThatIsNotThereIsNamed) {
  table("t", "id integer PRIMARY KEY, a text, b text");
  write({insert("t", {text("1"), text("a"), text("b")})});
  other_->run("DELETE FROM t");
  write({update("t", {text("1"), text("A"), absent_value}), insert("t", {text("2"), text("a"), text("b")})});
  EXPECT_THAT(held(), ElementsAre("t[\"1\"]|row_missing|none"));
  // It swallows what lacks values, and leaves with a whole row.
  write({update("t", {text("1"), text("AA"), absent_value})});
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("2|a|b"));
  write(
      {update("t", {text("1"), text("AA"), text("B")}), update("t", {text("1"), text("AAA"), absent_value})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|AAA|B", "2|a|b"));
  EXPECT_THAT(held(), IsEmpty());
  other_->run("DELETE FROM t");
  write({remove("t", {text("2"), Null{}, Null{}}),
         update("t", {text("5"), text("a"), absent_value}, {text("1"), Null{}, Null{}})});
  EXPECT_THAT(held(), ElementsAre("t[\"2\"]|row_missing|none", "t[\"5\"]|row_missing|none"));
  write({remove("t", {text("5"), Null{}, Null{}}), insert("t", {text("2"), Null{}, Null{}})});
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, WhatTheTargetRefusesIsHeldAndTheRestGoesOn) {
  table("t", "id integer PRIMARY KEY, v integer CHECK (v > 0), w text");
  std::vector<Step> steps;
  for (int i = 1; i <= 100; ++i) {
    steps.push_back(insert("t", {text(std::to_string(i)), text(i % 40 == 0 ? "-1" : "1"), text("w")}));
  }
  write(steps);
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre("98"));
  EXPECT_THAT(held(), ElementsAre("t[\"40\"]|23514|none", "t[\"80\"]|23514|none"));
  write({update("t", {text("1"), text("0"), absent_value}), update("t", {text("40"), text("0"), text("w")}),
         update("t", {text("80"), text("8"), text("w")}), update("t", {text("2"), text("2"), absent_value})});
  EXPECT_THAT(held(), ElementsAre("t[\"40\"]|23514|none", "t[\"1\"]|23514|old row"));
  EXPECT_THAT(rows("SELECT * FROM t WHERE id IN (1, 2, 40, 80) ORDER BY id"),
              ElementsAre("1|1|w", "2|2|w", "80|8|w"));
  // a change that lacks values must not be mixed with the old row
  write({update("t", {text("1"), text("5"), absent_value})});
  EXPECT_THAT(rows("SELECT * FROM t WHERE id = 1"), ElementsAre("1|1|w"));
  write({remove("t", {text("1"), Null{}, Null{}}), remove("t", {text("40"), Null{}, Null{}})});
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre("98"));
}

TEST_F(Native, AHeldRowsKeyChanges) {
  table("t", "id integer PRIMARY KEY, v integer CHECK (v > 0), w text");
  write({insert("t", {text("1"), text("1"), text("w")}), insert("t", {text("2"), text("-2"), text("w")})});
  write({update("t", {text("1"), text("-1"), text("w")})});
  EXPECT_THAT(held(), ElementsAre("t[\"2\"]|23514|none", "t[\"1\"]|23514|old row"));
  write({update("t", {text("10"), text("-1"), absent_value}, {text("1"), Null{}, Null{}})});
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("10|1|w"));
  EXPECT_THAT(held(), ElementsAre("t[\"2\"]|23514|none", "t[\"10\"]|rejected|old row"));
  write({update("t", {text("11"), text("-5"), text("w")}, {text("10"), Null{}, Null{}})});
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("11|1|w"));
  EXPECT_THAT(held(), ElementsAre("t[\"2\"]|23514|none", "t[\"11\"]|23514|old row"));
  write({update("t", {text("12"), text("5"), text("x")}, {text("11"), Null{}, Null{}}),
         update("t", {text("20"), text("20"), text("x")}, {text("2"), Null{}, Null{}})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("12|5|x", "20|20|x"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, TruncateOfTwoTablesWithAForeignKey) {
  table("p", "id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY");
  table("c", "id integer PRIMARY KEY, p integer REFERENCES p");
  write({insert("p", {text("1")}), insert("c", {text("1"), text("1")})});
  write({insert("p", {text("2")}), truncate("p", true), truncate("c", true), insert("p", {text("7")}),
         insert("c", {text("3"), text("7")})});
  EXPECT_THAT(rows("SELECT * FROM c"), ElementsAre("3|7"));
  EXPECT_THAT(rows("SELECT * FROM p"), ElementsAre("7"));
  EXPECT_THAT(rows("INSERT INTO p DEFAULT VALUES RETURNING id"), ElementsAre("1"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, TruncateOfATableThatOthersReferTo) {
  table("p", "id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY");
  other_->run("CREATE TABLE outside(id integer, p integer REFERENCES p ON DELETE CASCADE)");
  write({insert("p", {text("1")}), insert("p", {text("2")})});
  other_->run("INSERT INTO outside VALUES (1, 1), (2, NULL)");
  write({truncate("p", true), insert("p", {text("7")})});
  EXPECT_THAT(rows("SELECT * FROM outside"), ElementsAre("2|-"));
  EXPECT_THAT(rows("SELECT * FROM p"), ElementsAre("7"));
  EXPECT_THAT(rows("INSERT INTO p DEFAULT VALUES RETURNING id"), ElementsAre("1"));
}

TEST_F(Native, TruncateEmptiesTheQuarantine) {
  table("t", "id integer PRIMARY KEY, v integer CHECK (v > 0)");
  write({insert("t", {text("1"), text("0")})});
  EXPECT_THAT(held(), ElementsAre("t[\"1\"]|23514|none"));
  write({insert("t", {text("2"), text("0")}), truncate("t"), insert("t", {text("3"), text("3")})});
  EXPECT_THAT(held(), IsEmpty());
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("3|3"));
}

TEST_F(Native, IdentityAlwaysIsWrittenAndMoved) {
  table("t",
        "id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n integer GENERATED ALWAYS AS (id * 2) STORED, "
        "v text");
  write({insert("t", {text("5"), text("a")})});
  write({update("t", {text("5"), text("b")})});
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("5|10|b"));
  write({update("t", {text("6"), text("c")}, {text("5"), Null{}})});
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("6|12|c"));
  EXPECT_THAT(rows("SELECT attidentity FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'id'"),
              ElementsAre("a"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, OneOfSeveralEqualRowsIsChanged) {
  table("t", "j json, f double precision, b boolean, c character(4), v text", {});
  Row one{text("{\"a\": 1,  \"b\":null}"), text("-0"), text("t"), text("x   "), Null{}};
  Row other{text("{\"a\": 1,\"b\":null}"), text("0"), text("f"), text("x   "), Null{}};
  Row changed{text("[]"), text("NaN"), Null{}, text("    "), text("")};
  write({insert("t", one), insert("t", one), insert("t", one), insert("t", other)});
  write({remove("t", one), update("t", changed, one)});
  EXPECT_THAT(rows("SELECT j::text, f, b, c, v FROM t"),
              UnorderedElementsAre("{\"a\": 1,  \"b\":null}|-0|t|x   |-", "{\"a\": 1,\"b\":null}|0|f|x   |-",
                                   "[]|NaN|-|    |"));
  write({remove("t", changed), update("t", one, other)});
  EXPECT_THAT(rows("SELECT count(*) FROM t WHERE j::text = '{\"a\": 1,  \"b\":null}' AND b"),
              ElementsAre("2"));
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre("2"));
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, ALongTransactionIsAllOrNothing) {
  table("t", "id integer PRIMARY KEY, v integer CHECK (v > 0)");
  table("k", "v integer CHECK (v > 0)", {});
  add({insert("t", {text("1"), text("1")}), insert("k", {text("1")})});
  sink().spill(1);
  EXPECT_EQ(sink().rows(), 0u);
  add({insert("t", {text("2"), text("0")}), update("t", {text("3"), text("1")}, {text("1"), Null{}})});
  sink().pass_on(1);
  EXPECT_THAT(rows("SELECT FROM t"), IsEmpty());
  sink_.reset();
  start(target());  // a process that died
  add({insert("t", {text("1"), text("1")}), truncate("k")});
  sink().pass_on(1);
  add({insert("t", {text("2"), text("0")}), remove("k", {text("5")}), insert("k", {text("2")})});
  sink().pass_on(1);
  add({update("t", {text("3"), text("1")}, {text("1"), Null{}})});
  commit();
  EXPECT_THAT(rows("SELECT * FROM t"), ElementsAre("3|1"));
  EXPECT_THAT(rows("SELECT * FROM k"), ElementsAre("2"));
  EXPECT_THAT(rows("SELECT reason FROM tidegate.quarantine WHERE pipeline = '" + name_ + "' ORDER BY id"),
              ElementsAre("rejected", "row_missing"));
}

TEST_F(Native, AKeyUnderIdentityFull) {
  other_->run("CREATE TABLE t(id integer PRIMARY KEY DEFERRABLE, v text, big text)");
  adopt("t", {"id"}, {});
  write({insert("t", {text("1"), text("a"), text("b")}), insert("t", {text("2"), text("a"), text("b")})});
  write({update("t", {text("1"), text("A"), absent_value}, {text("1"), text("a"), text("B")}),
         update("t", {text("3"), text("c"), absent_value}, {text("2"), text("a"), text("b")})});
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|A|B", "3|c|b"));
  other_->run("ALTER TABLE t ADD CHECK (v <> 'x')");
  write({update("t", {text("3"), text("x"), text("b")}, {text("3"), text("c"), text("b")})});
  EXPECT_THAT(held(), ElementsAre("t[\"3\"]|23514|old row"));
  write({remove("t", {text("3"), text("x"), text("b")}), remove("t", {text("1"), text("A"), text("B")})});
  EXPECT_THAT(rows("SELECT FROM t"), IsEmpty());
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, RowsWithoutKeyInQuarantine) {
  table("k", "v integer CHECK (v > 0), w text", {});
  auto row = [](int v) { return Row{text(std::to_string(v)), text("secret")}; };
  write({insert("k", row(0)), insert("k", row(0)), insert("k", row(1)), insert("k", row(2))});
  EXPECT_THAT(
      rows("SELECT source_key::json->1, reason, target_holds FROM tidegate.quarantine WHERE pipeline = '" +
           name_ + "' ORDER BY id"),
      ElementsAre("1|rejected|none", "2|rejected|none"));
  EXPECT_THAT(
      rows("SELECT FROM tidegate.quarantine WHERE source_key LIKE '%secret%' OR encode(key_bytes, 'escape') "
           "LIKE '%secret%'"),
      IsEmpty());
  // one comes back as another row, one is deleted; a row that fits becomes one that does not
  write({update("k", row(3), row(0)), update("k", row(-1), row(1))});
  EXPECT_THAT(rows("SELECT v FROM k ORDER BY 1"), ElementsAre("2", "3"));
  write({remove("k", row(0)), update("k", row(4), row(-1))});
  EXPECT_THAT(rows("SELECT v FROM k ORDER BY 1"), ElementsAre("2", "3", "4"));
  EXPECT_THAT(held(), IsEmpty());
  // the target lost one: the source's row stays named until it is gone
  other_->run("DELETE FROM k WHERE v = 4");
  write({update("k", row(5), row(4))});
  write({update("k", row(6), row(5)), insert("k", row(7))});
  EXPECT_THAT(rows("SELECT v FROM k ORDER BY 1"), ElementsAre("2", "3", "7"));
  EXPECT_THAT(rows("SELECT reason, target_holds FROM tidegate.quarantine WHERE pipeline = '" + name_ + "'"),
              ElementsAre("row_missing|old row"));
  write({remove("k", row(6))});
  EXPECT_THAT(held(), IsEmpty());
}

TEST_F(Native, TablesOutsideFollowDeletes) {
  table("p", "id integer PRIMARY KEY, v text");
  other_->run("CREATE TABLE outside(id integer, p integer REFERENCES p ON DELETE CASCADE)");
  write({insert("p", {text("1"), text("a")}), insert("p", {text("2"), text("a")})});
  other_->run("INSERT INTO outside VALUES (1, 1), (2, 2)");
  write({remove("p", {text("1"), Null{}})});
  EXPECT_THAT(rows("SELECT * FROM outside"), ElementsAre("2|2"));
  // a key that changes deletes nothing
  write({update("p", {text("3"), text("a")}, {text("2"), Null{}})});
  EXPECT_THAT(rows("SELECT count(*) FROM outside"), ElementsAre("1"));
}

TEST_F(Native, PartitionsWithoutKey) {
  other_->run(
      "CREATE TABLE k(v integer, w text) PARTITION BY LIST (v); CREATE TABLE k1 PARTITION OF k FOR VALUES IN "
      "(1); "
      "CREATE TABLE k2 PARTITION OF k FOR VALUES IN (2)");
  adopt("k", {}, {});
  write({insert("k", {text("1"), text("a")}), insert("k", {text("2"), text("a")}),
         insert("k", {text("2"), text("a")})});
  write({remove("k", {text("2"), text("a")}), update("k", {text("2"), text("b")}, {text("1"), text("a")})});
  EXPECT_THAT(rows("SELECT tableoid::regclass, * FROM k ORDER BY w"), ElementsAre("k2|2|a", "k2|2|b"));
}

TEST_F(Native, AnotherSessionsEpochIsRefused) {
  table("t", "id integer PRIMARY KEY, v text");
  TargetSession successor(target(), "inc");
  EXPECT_EQ(code_of([&] { write({insert("t", {text("1"), text("a")})}); }), "TG001");
  EXPECT_THAT(rows("SELECT FROM t"), IsEmpty());
}

// COMMIT is on its way with the rest: whoever loses the connection then cannot know.
TEST_F(Native, ALostAnswerIsInDoubt) {
  table("t", "id integer PRIMARY KEY, v text");
  write({insert("t", {text("1"), text("a")})});
  other_->run("SELECT pg_terminate_backend(" + std::to_string(session_->connection().backend_pid()) + ")");
  add({insert("t", {text("2"), text("a")})});
  try {
    sink().write(next());
    FAIL() << "it was written";
  } catch (const Error& error) {
    EXPECT_EQ(error.advice(), Advice::in_doubt);
  }
}

TEST_F(Native, AConstraintThatIsMetAtCommit) {
  table("p", "id integer PRIMARY KEY");
  table("c", "id integer PRIMARY KEY, p integer REFERENCES p DEFERRABLE INITIALLY DEFERRED");
  without_replica_mode();
  write({insert("c", {text("1"), text("1")}), insert("p", {text("1")})});
  EXPECT_THAT(rows("SELECT * FROM c"), ElementsAre("1|1"));
  EXPECT_THAT(held(), IsEmpty());
  write({insert("c", {text("2"), text("9")}), insert("p", {text("3")}), insert("c", {text("3"), text("3")})});
  EXPECT_THAT(rows("SELECT * FROM c ORDER BY id"), ElementsAre("1|1", "3|3"));
  EXPECT_THAT(held(), ElementsAre("c[\"2\"]|23503|none"));
}

TEST_F(Native, DISABLED_Figures) {
  table("t", "id integer PRIMARY KEY, n integer, v text, at timestamptz");
  other_->run("INSERT INTO t SELECT i, i, 'value ' || i, now() FROM generate_series(1, 1000000) AS i");
  other_->run("VACUUM ANALYZE t");
  auto run = [&](const char* what, int changes, int keys, int batch, int moved) {
    auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < changes; ++i) {
      std::string key = std::to_string(i % keys + 1);
      Row row{text(key), text(std::to_string(i)), text("another value " + key),
              text("2024-01-01 00:00:00+00")};
      Row before;
      if (moved)
        before = {text(std::to_string(i % keys + 1 + (moved > 1 ? 2000000 : 0))), Null{}, Null{}, Null{}};
      if (moved == 1) row[0] = text(std::to_string(i % keys + 1 + 2000000));
      add({update("t", row, before)});
      if ((i + 1) % batch == 0) sink().write(next());
    }
    std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
    std::cout << what << ": " << static_cast<long>(changes / taken.count()) << " changes/s\n";
  };
  run("updates over 10,000 keys, batches of 10,000", 100000, 10000, 10000, 0);
  run("every row once, batches of 10,000", 1000000, 1000000, 10000, 0);
  run("key changes, batches of 10,000", 50000, 50000, 10000, 1);
  run("one row per transaction", 3000, 3000, 1, 0);
}

}  // namespace
}  // namespace tidegate
