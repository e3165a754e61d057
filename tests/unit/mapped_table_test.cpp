#include "apply/mapping/mapped_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apply/mapping/keys/key_functions.hpp"
#include "apply/mapping/mapped_row.hpp"
#include "apply/mapping/mapping.hpp"
#include "apply/mapping/refusals.hpp"
#include "apply/mapping/uuid.hpp"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

MapTarget target(std::string table, std::vector<MapColumn> columns, std::vector<std::string> key = {"id"}) {
  MapTarget made;
  made.schema = "public";
  made.table = std::move(table);
  made.where = "t.toml:5:9";
  made.columns = std::move(columns);
  made.key = std::move(key);
  return made;
}

MapColumn column(std::string name, std::string expression) {
  return {std::move(name), {std::move(expression), "t.toml:6:20"}};
}

SourceTable user_table(bool printed) {
  SourceTable table;
  table.name = "user";
  table.primary_key = {"id"};
  for (auto [name, type] : {std::pair("id", "INTEGER"), std::pair("email", "VARCHAR(120)"),
                            std::pair("age", "INTEGER"), std::pair("deleted", "DATETIME")}) {
    SourceColumn& made = table.columns.emplace_back();
    made.name = name;
    made.declared_type = printed && std::string(type) == "INTEGER" ? "integer" : type;
  }
  table.columns[1].collation = "NOCASE";
  return table;
}

const Relation users{7, "user", {"id", "email", "age", "deleted"}, {0}};

// A map, compiled; what it makes of changes, in words.
struct Rig {
  std::vector<MapDefinition> maps;
  std::unique_ptr<MappedTable> table;

  explicit Rig(std::vector<MapTarget> to, std::optional<std::string> condition = {}, bool printed = false) {
    MapDefinition& map = maps.emplace_back();
    map.from = "user";
    if (condition) map.condition = PlacedText{*condition, "t.toml:3:9"};
    map.to = std::move(to);
    table =
        std::make_unique<MappedTable>(outputs_of(maps, "user"), user_table(printed), users,
                                      MappingOptions{.printed = printed, .functions = {}, .memory = {}}, 100);
  }
  std::vector<std::string> map(const Change& change) {
    std::vector<std::string> said;
    table->map(change, [&](const Relation& relation, Change made) {
      const char* words[] = {"insert ", "update ", "remove ", "truncate "};
      said.push_back(words[static_cast<int>(made.operation)] + relation.table + " " + key_as_json(made.row) +
                     (made.before.empty() ? "" : " was " + key_as_json(made.before)));
    });
    return said;
  }
};

// Gives each value as it is, and writes down what is asked and told.
class Listening : public KeyAnswers {
 public:
  std::vector<std::string> said;
  std::int64_t surrogate(const std::string&, const Row&) override { return 1; }
  std::string uuid(const std::string&, const Row&, const std::string& made) override { return made; }
  std::string paired_uuid(const std::string&, const Row&, const std::string& made) override { return made; }
  std::string unique_value(const std::string&, const std::string& value, const Row&) override {
    said.push_back(value);
    return value;
  }
  void rethrow_failure() override {}
  void begin_row(std::string owner) override { said.push_back("row " + owner); }
  void end_row(bool asked_all) override { said.emplace_back(asked_all ? "all" : "not all"); }
  void row_is_gone(const std::string&) override {}
  void table_is_empty(const std::string&) override {}
};

// What a table of these targets, mapped from one with unique values, says to its memory.
std::vector<std::string> told(std::vector<MapTarget> to, const Change& change) {
  std::vector<MapDefinition> maps(1);
  maps[0].from = "user";
  maps[0].to = std::move(to);
  auto memory = std::make_shared<Listening>();
  const auto functions = [memory](sqlite::Database& engine) {
    register_key_functions(engine, UuidMaker("p"), memory, {});
  };
  MappedTable table(outputs_of(maps, "user"), user_table(false), users,
                    MappingOptions{.functions = functions, .memory = memory}, 100);
  table.map(change, [](const Relation&, const Change&) {});
  return memory->said;
}

const MapColumn unique_mail = column("mail", "unique_value('t', 'mail', email, id)");

Row user(std::int64_t id, Value email, Value age = Null{}, Value deleted = Null{}) {
  return {id, std::move(email), std::move(age), std::move(deleted)};
}

Change insert(Row row) {
  return {Operation::insert, 7, std::move(row), {}, {}};
}
Change update(Row row) {
  return {Operation::update, 7, std::move(row), {}, {}};
}
Change removal(Row row) {
  return {Operation::remove, 7, std::move(row), {}, {}};
}

TEST(MappedTable, OneRowBecomesRowsOfSeveralTables) {
  Rig rig({target("profiles", {column("id", "id + 100"), column("mail", "lower(email)")}),
           target("ages", {column("who", "id"), column("age", "age")}, {"who"})});
  EXPECT_THAT(rig.map(insert(user(1, std::string("A@x.org"), std::int64_t{7}))),
              ElementsAre(R"(insert user -> public.profiles [101,"a@x.org",1,null])",
                          R"(insert user -> public.ages [1,7,1,null])"));
}

TEST(MappedTable, APassedColumnKeepsItsExactValue) {
  Rig rig({target("t", {column("id", "id"), column("a", "AGE"), column("b", "\"email\"")})});
  const Value odd[] = {Blob{std::string("\0\xff", 2)}, std::string("\xff", 1), 0.1, Null{}};
  for (const Value& value : odd) {
    std::vector<std::optional<Row>> mapped;
    rig.table->map_row(user(1, value, value), mapped);
    EXPECT_TRUE(identical((*mapped[0])[1], value));
    EXPECT_TRUE(identical((*mapped[0])[2], value));
  }
}

TEST(MappedTable, ARowEntersAndLeavesWithItsFilter) {
  Rig rig({target("t", {column("id", "id")})}, "deleted is null");
  EXPECT_THAT(rig.map(insert(user(1, Null{}))), ElementsAre("insert user -> public.t [1,1,null]"));
  EXPECT_THAT(rig.map(insert(user(1, Null{}, Null{}, std::string("x")))), IsEmpty());
  EXPECT_THAT(rig.map(update(user(1, Null{}, Null{}, std::string("x")))),
              ElementsAre("remove user -> public.t [1,1,null]"));
  EXPECT_THAT(rig.map(update(user(1, Null{}))), ElementsAre("update user -> public.t [1,1,null]"));
  EXPECT_THAT(rig.map(removal(user(1, Null{}))), ElementsAre("remove user -> public.t [1,1,null]"));
}

TEST(MappedTable, OneExpressionServesSeveralCells) {
  Rig rig({target("profiles",
                  {column("id", "id + 1"), column("mail", "lower(email)"), column("again", "lower(email)")}),
           target("names", {column("id", "id + 1"), column("mail", "lower(email)")})});
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(rig.map(insert(user(1, std::string("A@x.org")))),
                ElementsAre(R"(insert user -> public.profiles [2,"a@x.org","a@x.org",1,null])",
                            R"(insert user -> public.names [2,"a@x.org",1,null])"));
  }
}

TEST(MappedTable, WhatReadsNoColumnIsThereInEachRow) {
  Rig rig({target(
      "t", {column("id", "id"), column("kind", "'user'"), column("n", "1 + 1"), column("nothing", "NULL")})});
  for (int i = 1; i < 3; ++i)
    EXPECT_THAT(rig.map(insert(user(i, Null{}))),
                ElementsAre("insert user -> public.t [" + std::to_string(i) + R"(,"user",2,null,)" +
                            std::to_string(i) + ",null]"));
}

TEST(MappedTable, AConstantThatFailsHoldsEachRow) {
  Rig rig({target("t", {column("id", "id"), column("bad", "json_extract('{', '$.a')")})});
  EXPECT_THAT(rig.map(insert(user(1, Null{}))),
              ElementsAre(R"(insert user -> public.t [1,null,1,"expression_failed:bad"])"));
}

TEST(MappedTable, AConditionThatIsNullDoesNotMatch) {
  Rig rig({target("t", {column("id", "id")})}, "age > 3");
  EXPECT_THAT(rig.map(insert(user(1, Null{}))), IsEmpty());
}

TEST(MappedTable, AKeyThatReadsOtherColumnsIsFollowed) {
  Rig rig({target("t", {column("user_id", "id"), column("tag", "email")}, {"user_id", "tag"})});
  Change change = update(user(1, std::string("new"), std::int64_t{3}));
  change.changed = {1};
  change.old = {std::string("old")};
  EXPECT_THAT(rig.map(change), ElementsAre(R"(remove user -> public.t [1,"old",1,null])",
                                           R"(update user -> public.t [1,"new",1,null])"));
  change.changed = {2};
  change.old = {std::int64_t{2}};
  EXPECT_THAT(rig.map(change), ElementsAre(R"(update user -> public.t [1,"new",1,null])"));
}

TEST(MappedTable, AKeyThatSeveralOutputsShareMovesInEach) {
  for (const bool printed : {false, true}) {
    Rig rig({target("users", {column("id", "lower(email)"), column("age", "age")}),
             target("profiles", {column("id", "lower(email)"), column("mail", "lower(email)")})},
            {}, printed);
    const auto text = [](const char* value) { return Value(std::string(value)); };
    const Value one = printed ? text("1") : Value(std::int64_t{1});
    Change change = update({one, text("NEW"), Null{}, Null{}});
    change.before = {one, text("OLD"), Null{}, Null{}};
    std::vector<std::string> keys;
    rig.table->map(change, [&](const Relation& relation, Change made) {
      keys.push_back(relation.table + " " + std::get<std::string>(made.row[0]));
    });
    const std::string users = "user -> public.users ", profiles = "user -> public.profiles ";
    std::vector<std::string> wanted = {users + "new", profiles + "new"};
    if (!printed) wanted = {users + "old", users + "new", profiles + "old", profiles + "new"};
    EXPECT_EQ(keys, wanted);
  }
}

TEST(MappedTable, ComparisonsAreThoseOfTheSource) {
  Rig rig({target("t", {column("id", "id"), column("a", "age = '7'"), column("b", "email = 'ANN'")})});
  EXPECT_THAT(rig.map(insert(user(1, std::string("ann"), std::int64_t{7}))),
              ElementsAre("insert user -> public.t [1,1,1,1,null]"));
}

TEST(MappedTable, ARowWhoseExpressionFailsIsHeldUnderItsKey) {
  Rig rig({target("t", {column("id", "id"), column("name", "json_extract(email, '$.name')")})});
  EXPECT_THAT(rig.map(insert(user(1, std::string("no json")))),
              ElementsAre(R"(insert user -> public.t [1,null,1,"expression_failed:name"])"));
  EXPECT_THAT(rig.map(insert(user(2, std::string(R"({"name": "n"})")))),
              ElementsAre(R"(insert user -> public.t [2,"n",2,null])"));
}

TEST(MappedTable, ValuesOfPostgresAreBoundByTypeAndPrintedAgain) {
  Rig rig({target("t", {column("id", "id * 2"), column("half", "age / 2.0"), column("mail", "email")})}, {},
          true);
  EXPECT_THAT(rig.map(insert({std::string("21"), std::string("m"), std::string("5"), Null{}})),
              ElementsAre(R"(insert user -> public.t ["42","2.5","m","21",null])"));
}

TEST(MappedTable, AKeyChangeOfPostgresStaysOne) {
  Rig rig({target("t", {column("id", "id * 2")})}, "age > 0", true);
  Change change = update({std::string("3"), Null{}, std::string("1"), Null{}});
  change.before = {std::string("2"), Null{}, Null{}, Null{}};
  EXPECT_THAT(rig.map(change), ElementsAre(R"(update user -> public.t ["6","3",null] was ["4","2",null])"));
  change.row[2] = std::string("0");
  EXPECT_THAT(rig.map(change), ElementsAre(R"(remove user -> public.t ["4","2",null])"));
}

TEST(MappedTable, AnExpressionWithoutItsInputsIsToBeReadAgain) {
  Rig rig({target("t", {column("id", "id"), column("mail", "lower(email)")}),
           target("u", {column("id", "id"), column("age", "age")})},
          {}, true);
  Change change = update({std::string("3"), Null{}, std::string("1"), Null{}});
  change.absent = {1};
  EXPECT_THAT(rig.map(change), ElementsAre(R"(update user -> public.t ["3",null,"3","row_missing:"])",
                                           R"(update user -> public.u ["3","1","3",null])"));
}

std::string refusal_of(const std::string& expression) {
  try {
    Rig rig({target("t", {column("id", "id"), column("x", expression)})});
  } catch (const Refused& refused) {
    return refused.message();
  }
  return "";
}

TEST(MappedTable, AUniqueValueIsItsRowsThoughSomethingWasNotSent) {
  Change change = update(user(1, std::string("a")));
  change.absent = {2};
  const MapTarget passed = target("t", {column("id", "id"), unique_mail, column("age", "age")});
  EXPECT_THAT(told({passed}, change), ElementsAre("row user [1]", "a", "all"));
  const MapTarget lacking = target("u", {column("id", "id"), column("next", "age + 1")});
  EXPECT_THAT(told({passed, lacking}, change), ElementsAre("row user [1]", "a", "not all"));
  change.absent = {1};
  EXPECT_THAT(told({passed}, change), ElementsAre("row user [1]", "not all"));
}

TEST(MappedTable, ARowThatIsHeldGivesNoUniqueValueUp) {
  const MapTarget parsed =
      target("t", {column("id", "id"), column("a", "json_extract(email, '$.a')"), unique_mail});
  EXPECT_THAT(told({parsed}, update(user(1, std::string("no json")))),
              ElementsAre("row user [1]", "not all"));
  EXPECT_THAT(told({parsed}, update(user(1, std::string("{}")))), ElementsAre("row user [1]", "{}", "all"));
}

TEST(MappedTable, APassedColumnThatWasNotSentStaysAbsent) {
  Rig rig({target("t", {column("id", "id"), column("mail", "email"), column("age", "age + 1")})}, {}, true);
  Change change = update({std::string("3"), Null{}, std::string("1"), Null{}});
  change.absent = {1};
  std::vector<Change> made;
  rig.table->map(change, [&](const Relation&, Change mapped) { made.push_back(std::move(mapped)); });
  ASSERT_EQ(made.size(), 1u);
  EXPECT_THAT(made[0].absent, ElementsAre(1));
  EXPECT_EQ(key_as_json(made[0].row), R"(["3",null,"2","3",null])");
}

TEST(MappedTable, WhatDoesNotCompileIsRefusedWithItsPlace) {
  EXPECT_THAT(refusal_of("lower(emial)"), HasSubstr("t.toml:6:27: no such column: emial"));
  EXPECT_THAT(refusal_of("\"emial\""), HasSubstr("no such column: emial"));
  EXPECT_THAT(refusal_of("lowr(email)"), HasSubstr("no such function: lowr"));
  EXPECT_THAT(refusal_of("lower(email"), HasSubstr("t.toml:6:20: this is not an expression"));
  EXPECT_THAT(refusal_of("id) FROM source; DROP TABLE source; SELECT (1"), HasSubstr("not an expression"));
  EXPECT_THAT(refusal_of("random()"), HasSubstr("another value each time"));
  EXPECT_THAT(refusal_of("datetime('Now')"), HasSubstr("another value each time"));
  EXPECT_THAT(refusal_of("date()"), HasSubstr("another value each time"));
  EXPECT_EQ(refusal_of("strftime('%Y', deleted)"), "");
}

TEST(MappedTable, TheKeyMustBeMapped) {
  EXPECT_THROW(Rig({target("t", {column("id", "id")}, {"uid"})}), Refused);
}

TEST(MappedTable, ColumnsThatNothingReadsAreNamed) {
  Rig rig({target("t", {column("id", "id"), column("mail", "lower(EMAIL)")})}, "age > 1");
  EXPECT_THAT(rig.table->unread(), ElementsAre("deleted"));
}

TEST(Uuid, IsTheSameForTheSameNameOnly) {
  const UuidMaker one("one"), two("two");
  const Row key = {std::string("user"), std::int64_t{5}};
  EXPECT_EQ(one.make(key), UuidMaker("one").make(key));
  EXPECT_NE(one.make(key), two.make(key));
  EXPECT_NE(one.make(key), one.make({std::string("user"), std::string("5")}));
  EXPECT_NE(one.make(key), one.make({std::string("child"), std::int64_t{5}}));
  EXPECT_EQ(one.make(key)[14], '5');
}

// As Python's uuid.uuid5() has it: what is in a target must come out again.
TEST(Uuid, IsVersion5OfThePipelineAndTheKey) {
  EXPECT_EQ(UuidMaker("codopia").make({std::string("user"), std::int64_t{57}}),
            "785e84c4-8fe3-5bf7-9924-eaeb6ed9be5f");
}

}  // namespace
}  // namespace tidegate
