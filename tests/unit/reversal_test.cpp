#include "apply/mapping/reversal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

SourceTable table_of(const std::string& name, const std::vector<std::string>& columns) {
  SourceTable table;
  table.name = name;
  for (const auto& column : columns) table.columns.emplace_back().name = column;
  return table;
}

MapTarget target_of(const std::vector<std::string>& expressions) {
  MapTarget target;
  for (const auto& expression : expressions) target.columns.push_back({"c", {expression, ""}});
  return target;
}

MapDefinition map_of(const std::string& from, const std::vector<MapTarget>& to) {
  MapDefinition map;
  map.from = from;
  map.to = to;
  return map;
}

TEST(Reversal, EachColumnIsTakenBackByTheBestThatSomeExpressionAllows) {
  const auto user = table_of("user", {"id", "email", "name", "password", "parent", "gone", "note"});
  auto map = map_of("user", {target_of({"uuid('user', id)", "lower(email)", "password_hash(password)"}),
                             target_of({"uuid('user', parent)", " name ", "upper(name)"})});
  map.condition = PlacedText{"gone is null", ""};
  const auto found = reversals({map}, {user, table_of("other", {"id"}), user});
  ASSERT_EQ(found.size(), 1u) << "a table of several maps or outputs is told once, one without a map never";
  EXPECT_EQ(found.front().table, "user");
  EXPECT_THAT(found.front().kept, ElementsAre("name"));
  EXPECT_THAT(found.front().remembered, ElementsAre("id", "parent"));
  EXPECT_THAT(found.front().lost, ElementsAre("email", "password", "gone"));
  EXPECT_THAT(found.front().unread, ElementsAre("note"));
}

TEST(Reversal, AnotherMapMayKeepWhatOneLoses) {
  const auto found = reversals({map_of("t", {target_of({"a || b"})}), map_of("t", {target_of({"b"})})},
                               {table_of("t", {"a", "b"})});
  EXPECT_THAT(found.front().kept, ElementsAre("b"));
  EXPECT_THAT(found.front().lost, ElementsAre("a"));
}

TEST(Reversal, AConditionThatIsAColumnKeepsNothing) {
  auto map = map_of("t", {target_of({"a"})});
  map.condition = PlacedText{"active", ""};
  const auto found = reversals({map}, {table_of("t", {"a", "active"})});
  EXPECT_THAT(found.front().lost, ElementsAre("active"));
}

TEST(Reversal, AKeyOfSeveralColumnsIsNotTakenApart) {
  const auto found = reversals({map_of("t", {target_of({"uuid('t', a, b)"})})}, {table_of("t", {"a", "b"})});
  EXPECT_THAT(found.front().lost, ElementsAre("a", "b"));
  EXPECT_THAT(found.front().remembered, IsEmpty());
}

}  // namespace
}  // namespace tidegate
