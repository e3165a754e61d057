#include "apply/postgres/legacy_side.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/error.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TablePlan forward() {
  TablePlan plan;
  plan.source = "shop.or.der";
  plan.schema = "public";
  plan.target = "orders";
  for (auto [source, target] : {std::pair{"a", "x"}, {"b", "y"}}) {
    ColumnPlan column;
    column.source = source;
    column.target = target;
    column.type = TargetType::native;
    column.existing_type = "integer";
    plan.columns.push_back(column);
  }
  plan.key = {"x"};
  return plan;
}

TEST(PlanBack, LeadsFromTheTargetsNamesToTheLegacys) {
  const TablePlan back = plan_back(forward(), {"y", "x"});
  EXPECT_EQ(back.source, "public.orders");
  EXPECT_EQ(back.schema, "shop");
  EXPECT_EQ(back.target, "or.der");
  ASSERT_EQ(back.columns.size(), 2);
  EXPECT_EQ(back.columns[0].source, "x");
  EXPECT_EQ(back.columns[0].target, "a");
  EXPECT_THAT(back.key, ElementsAre("b", "a"));
}

TEST(PlanBack, WithoutAnIdentityRowsAreFoundWhole) {
  EXPECT_THAT(plan_back(forward(), {}).key, IsEmpty());
}

TEST(PlanBack, AnIdentityThatTheLegacyDoesNotHaveIsRefused) {
  EXPECT_THROW(plan_back(forward(), {"only_there"}), Refused);
}

}  // namespace
}  // namespace tidegate
