#include "apply/mapping/reversal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apply/mapping/reverse_expressions.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SourceTable table_of(const std::string& name, const std::vector<std::string>& columns) {
  SourceTable table;
  table.name = name;
  for (const auto& column : columns) table.columns.emplace_back().name = column;
  table.primary_key = {columns.front()};
  table.integer_key = true;
  return table;
}

using Columns = std::vector<std::pair<std::string, std::string>>;

// Its key is its first column.
MapTarget target_of(const std::string& name, const Columns& columns) {
  MapTarget target;
  target.schema = "public";
  target.table = name;
  for (const auto& [column, expression] : columns) target.columns.push_back({column, {expression, ""}});
  target.key = {columns.front().first};
  return target;
}

MapDefinition map_of(const std::string& from, const std::vector<MapTarget>& to, const Columns& reverse = {}) {
  MapDefinition map;
  map.from = from;
  map.to = to;
  for (const auto& [column, expression] : reverse)
    map.reverse.push_back({column, {expression, "t.toml:3:4"}});
  return map;
}

std::vector<std::string> messages(const Reversal& reversal) {
  std::vector<std::string> texts;
  for (const Finding& finding : reversal.refused) texts.push_back(finding.message);
  return texts;
}

TEST(Reversal, EachColumnComesBackByTheBestThatSomePartAllows) {
  const auto user = table_of("user", {"id", "email", "name", "password", "parent", "gone", "note"});
  auto map = map_of("user",
                    {target_of("users", {{"id", "uuid('user', id)"},
                                         {"email", "lower(email)"},
                                         {"hash", "password_hash(password)"}}),
                     target_of("profiles", {{"id", "uuid('user',id)"},
                                            {"up", "uuid('user', parent)"},
                                            {"name", " name "},
                                            {"shout", "upper(name)"}})},
                    {{"email", "email"}});
  map.condition = PlacedText{"gone is null", ""};
  const auto found = reversals({map}, {user, table_of("other", {"id"}), user});
  ASSERT_EQ(found.size(), 1u) << "a table of several outputs is told once, one without a map never";
  EXPECT_EQ(found.front().table, "user");
  EXPECT_EQ(found.front().anchor, "public.users");
  EXPECT_THAT(found.front().kept, ElementsAre("name"));
  EXPECT_THAT(found.front().remembered, ElementsAre("id", "parent"));
  EXPECT_THAT(found.front().given, ElementsAre("email"));
  EXPECT_THAT(found.front().lost, ElementsAre("password", "gone"));
  EXPECT_THAT(found.front().unread, ElementsAre("note"));
  EXPECT_THAT(found.front().refused, IsEmpty());
}

TEST(Reversal, AConditionThatIsAColumnKeepsNothing) {
  auto map = map_of("t", {target_of("t", {{"a", "a"}})});
  map.condition = PlacedText{"active", ""};
  const auto found = reversals({map}, {table_of("t", {"a", "active"})});
  EXPECT_THAT(found.front().lost, ElementsAre("active"));
}

TEST(Reversal, WithoutAKeyOfTheTablesOwnThereIsNoAnchor) {
  for (const char* key : {"uuid('t', lower(a))", "uuid('t', a, b)", "b", "uuid('t', b)", "hex(a)"}) {
    const auto found = reversals({map_of("t", {target_of("t", {{"id", key}})})}, {table_of("t", {"a", "b"})});
    EXPECT_THAT(messages(found.front()), ElementsAre(HasSubstr("table t has no anchor: none of public.t")))
        << key;
    EXPECT_EQ(found.front().anchor, "");
  }
}

TEST(Reversal, ARowThatIsThereAtTimesIsNoAnchorAndGivesWhatNobodyElseHas) {
  auto young = target_of("young", {{"id", "uuid('c', id)"}, {"name", "name"}, {"toy", "toy"}});
  young.condition = PlacedText{"age < 8", ""};
  const auto child = table_of("child", {"id", "name", "toy", "age"});
  const auto map = map_of(
      "child", {young, target_of("children", {{"id", "uuid('c', id)"}, {"name", "name"}, {"age", "age"}})});
  const auto plan = plan_returns({map}, {child}, [](const MapTarget&) { return true; }).front();
  EXPECT_EQ(plan.anchor, 1u);
  EXPECT_EQ(plan.columns[1].output, 1u) << "the anchor has the name as well";
  EXPECT_EQ(plan.columns[2].output, 0u);
}

TEST(Reversal, WhatIsNotFollowedIsNoAnchor) {
  const auto user = table_of("user", {"id", "name"});
  const std::vector<MapDefinition> maps = {
      map_of("user", {target_of("users", {{"id", "uuid('u', id)"}, {"name", "name"}}),
                      target_of("profiles", {{"id", "uuid('u', id)"}, {"name", "name"}})})};
  const auto ours = [](const MapTarget& target) { return target.table != "users"; };
  const auto plan = plan_returns(maps, {user}, ours).front();
  EXPECT_EQ(plan.anchor, 1u);
  EXPECT_EQ(plan.columns[1].output, 1u);
  EXPECT_TRUE(plan.outputs[0].is_part);
}

TEST(Reversal, AnOutputWithTheAnchorsKeyInAnotherColumnIsLinked) {
  const auto user = table_of("user", {"id", "name"});
  const std::vector<MapDefinition> maps = {map_of(
      "user",
      {target_of("users", {{"id", "uuid('u', id)"}}),
       target_of("identities",
                 {{"id", "uuid('i', uuid('u', id))"}, {"user_id", "uuid('u', id)"}, {"name", "name"}})})};
  const auto plan = plan_returns(maps, {user}, [](const MapTarget&) { return true; }).front();
  EXPECT_FALSE(plan.outputs[1].is_part);
  EXPECT_EQ(plan.outputs[1].link, "user_id");
  EXPECT_EQ(plan.columns[1].kind, ReturnSource::Kind::stays) << "a user may have several of them";
}

TEST(Reversal, KeysOfNobodyAreRefused) {
  const std::vector<SourceTable> tables = {table_of("child", {"id", "user_id"})};
  const auto child = map_of(
      "child",
      {target_of("children", {{"id", "uuid('c', id)"}, {"parent", "surrogate('u', 'user', user_id)"}})});
  EXPECT_THAT(messages(reversals({child}, tables).front()),
              ElementsAre(HasSubstr("user_id is a key of surrogate:u")));
  auto both = tables;
  both.push_back(table_of("user", {"id"}));
  const auto user = map_of("user", {target_of("users", {{"id", "surrogate('u', 'user', id)"}})});
  EXPECT_THAT(messages(reversals({child, user}, both).front()), IsEmpty());
  const auto teacher = map_of("user", {target_of("users", {{"id", "surrogate('u', 'teacher', id)"}})});
  EXPECT_THAT(messages(reversals({child, teacher}, both).front()), ElementsAre(HasSubstr("user_id")));
}

TEST(Reversal, SeveralMapsOfOneTableAreRefused) {
  const std::vector<SourceTable> tables = {table_of("teacher", {"id"}), table_of("parent", {"id"})};
  const auto found = reversals({map_of("teacher", {target_of("users", {{"id", "surrogate('u', 't', id)"}})}),
                                map_of("parent", {target_of("users", {{"id", "surrogate('u', 'p', id)"}})})},
                               tables);
  for (const Reversal& each : found)
    EXPECT_THAT(messages(each), ElementsAre(HasSubstr("one of several that fill public.users")));
}

TEST(Reversal, WhatAnInsertCouldNotFillIsRefusedUntilItIsGiven) {
  auto user = table_of("user", {"id", "email", "role"});
  user.columns[1].not_null = user.columns[2].not_null = true;
  user.columns[2].default_sql = "'parent'";
  const auto users =
      target_of("users", {{"id", "uuid('u', id)"}, {"email", "lower(email)"}, {"role", "upper(role)"}});
  const auto found = reversals({map_of("user", {users})}, {user});
  EXPECT_THAT(messages(found.front()), ElementsAre(HasSubstr("column email is NOT NULL without a default")));
  EXPECT_THAT(found.front().refused.front().mend, HasSubstr("[map.reverse] email ="));
  EXPECT_THAT(reversals({map_of("user", {users}, {{"email", "users.email"}})}, {user}).front().refused,
              IsEmpty());
}

TEST(ReverseExpressions, AreOverTheColumnsOfOneTable) {
  const auto map = [](const std::string& expression) {
    return map_of("t",
                  {target_of("a", {{"id", "id"}, {"x", "x"}}), target_of("b", {{"id", "id"}, {"y", "y"}})},
                  {{"c", expression}});
  };
  for (const char* good : {"x", "y", "b.y || id", "json_extract(x, '$.name')", "e164(x, 'DE')"})
    EXPECT_NO_THROW(check_reverse(map(good))) << good;
  for (const char* bad : {"x || y", "z", "x) + (1", "random()", "c.x", "upper(", "uuid('t', x)"}) {
    try {
      check_reverse(map(bad));
      ADD_FAILURE() << bad;
    } catch (const Refused& refused) {
      EXPECT_THAT(refused.what(), HasSubstr("t.toml:3:")) << bad;
    }
  }
}

TEST(ReverseExpressions, NameColumnsThatCanBeWritten) {
  auto table = table_of("t", {"id", "full"});
  table.columns[1].generated_sql = "'x'";
  const auto to = target_of("t", {{"id", "id"}, {"x", "full"}});
  for (const char* name : {"ful", "full"})
    EXPECT_THROW(reversals({map_of("t", {to}, {{name, "x"}})}, {table}), Refused) << name;
}

}  // namespace
}  // namespace tidegate
