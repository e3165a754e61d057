#include "apply/mapping/back/reversal.hpp"

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

const ReturnOutput& anchor_of(const std::vector<MapDefinition>& maps, const std::vector<SourceTable>& tables,
                              std::size_t table, std::vector<ReturnPlan>& plans) {
  plans = plan_returns(maps, tables, [](const MapTarget&) { return true; });
  return plans.at(table).anchor_output();
}

MapDefinition person(const std::string& kind, const std::vector<MapTarget>& more = {},
                     bool with_role = true) {
  const std::string id = "surrogate('user', '" + kind + "', id)";
  auto users = target_of("users", {{"id", id}, {"name", "name"}});
  auto roles = target_of("user_roles", {{"user_id", id}, {"role", "'" + kind + "'"}});
  roles.key = {"user_id", "role"};
  std::vector<MapTarget> to = {users};
  if (with_role) to.push_back(roles);
  to.insert(to.end(), more.begin(), more.end());
  return map_of(kind, to);
}

TEST(Reversal, OfASharedTableTheOwnersRowsAreToldApart) {
  const std::vector<SourceTable> tables = {table_of("teacher", {"id", "name", "bio"}),
                                           table_of("parent", {"id", "name"})};
  const auto teachers =
      target_of("teachers", {{"user_id", "surrogate('user', 'teacher', id)"}, {"bio", "bio"}});
  std::vector<MapDefinition> maps = {person("teacher", {teachers}), person("parent")};
  std::vector<ReturnPlan> plans;
  EXPECT_EQ(anchor_of(maps, tables, 0, plans).from.target->table, "teachers")
      << "a table of its own says most";
  EXPECT_FALSE(plans[0].anchor_output().is_shared);
  EXPECT_EQ(plans[0].columns[1].target, "name") << "and what is shared gives columns";
  const ReturnOutput& roles = anchor_of(maps, tables, 1, plans);
  EXPECT_EQ(roles.from.target->table, "user_roles");
  EXPECT_THAT(roles.made_key, ElementsAre("user_id"));
  EXPECT_THAT(roles.constants, ElementsAre(std::make_pair(std::string("role"), std::string("parent"))));
  EXPECT_EQ(roles.claim, "\"role\"::text = 'parent'");
  for (const ReturnPlan& plan : plans) EXPECT_THAT(plan.findings, IsEmpty());
  maps[0].to[1].rows = PlacedText{"role = 'teacher' AND since IS NULL", ""};
  anchor_of(maps, tables, 0, plans);
  EXPECT_EQ(plans[0].outputs[1].claim, "role = 'teacher' AND since IS NULL") << "what the operator says";
}

TEST(Reversal, WhatNothingTellsOfNewRowsIsNamed) {
  const std::vector<SourceTable> tables = {table_of("teacher", {"id", "name"}),
                                           table_of("parent", {"id", "name"})};
  std::vector<MapDefinition> maps = {person("teacher", {}, false), person("parent", {}, false)};
  for (const Reversal& each : reversals(maps, tables)) {
    EXPECT_THAT(messages(each), IsEmpty()) << "known keys have owners";
    ASSERT_EQ(each.warned.size(), 1u);
    EXPECT_EQ(each.warned.front().code, "way-back-owner-not-told");
  }
  maps[0].to[0].born = PlacedText{"kind = 1", ""};
  EXPECT_THAT(reversals(maps, tables).front().warned, IsEmpty());
  for (MapDefinition& map : maps) map.to[0].columns[0].expression.text = "id";
  maps[0].to[0].born.reset();
  EXPECT_THAT(messages(reversals(maps, tables).front()),
              ElementsAre(HasSubstr("nothing says whose a row is")))
      << "without a memory of keys";
}

TEST(Reversal, RowsThatOnlyAnotherMapTakesAreNamed) {
  const std::vector<SourceTable> tables = {table_of("user", {"id", "name", "gone"})};
  const auto map = [](const std::string& to, const std::string& where) {
    auto made = map_of("user", {target_of(to, {{"id", "uuid('user', id)"}, {"name", "name"}})});
    if (!where.empty()) made.condition = PlacedText{where, ""};
    return made;
  };
  const auto warned = [&](const std::string& first, const std::string& second) {
    std::vector<std::string> codes;
    const auto found = reversals({map("users", first), map("archive", second)}, tables);
    for (const auto& finding : found.front().warned)
      codes.push_back(finding.code +
                      (finding.message.find("public.archive") != finding.message.npos ? " archive" : ""));
    return codes;
  };
  EXPECT_THAT(warned("gone is null", "gone is not null"), ElementsAre("way-back-rows-not-followed archive"));
  EXPECT_THAT(warned("gone is null", ""), ElementsAre("way-back-rows-not-followed archive"));
  EXPECT_THAT(warned("", "gone is not null"), IsEmpty()) << "the anchor has all rows";
  EXPECT_THAT(warned("gone is null", " gone  is null "), IsEmpty()) << "the same rows";
}

TEST(Reversal, AContributorComesBackToRowsThatItHas) {
  auto phonebook = table_of("phonebook", {"teacher_id", "phone"});
  const std::vector<SourceTable> tables = {table_of("teacher", {"id", "name"}), phonebook};
  auto phones = target_of("users", {{"id", "surrogate('user', 'teacher', teacher_id)"}, {"phone", "phone"}});
  phones.contributor = true;
  std::vector<MapDefinition> maps = {person("teacher", {}, false), map_of("phonebook", {phones})};
  std::vector<ReturnPlan> plans;
  anchor_of(maps, tables, 1, plans);
  EXPECT_TRUE(plans[1].contributes);
  EXPECT_FALSE(plans[0].anchor_output().is_shared) << "by owners alone";
  for (const ReturnPlan& plan : plans) EXPECT_THAT(plan.findings, IsEmpty());
  maps.erase(maps.begin());
  EXPECT_THAT(messages(reversals(maps, {phonebook}).front()), ElementsAre(HasSubstr("key of surrogate:user")))
      << "whose keys are nobody's";
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
