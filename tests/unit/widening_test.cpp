#include "apply/postgres/widening.hpp"

#include <gtest/gtest.h>

#include "apply/mapping/row_mapper.hpp"

namespace tidegate {
namespace {

ColumnPlan column(TargetType type, int precision, int scale = 0) {
  ColumnPlan plan;
  plan.source = plan.target = "c";
  plan.type = type;
  plan.precision = precision;
  plan.scale = scale;
  return plan;
}

bool too_narrow(const ColumnPlan& plan, Misfit misfit) {
  TablePlan table;
  table.source = table.target = "t";
  table.columns = {plan};
  Reject reject;
  reject.column = "c";
  reject.reason = name_of(misfit);
  return is_too_narrow(table, reject);
}

TEST(Widening, IsForLengthsAndDigitsOfColumnsThatWeMade) {
  EXPECT_TRUE(too_narrow(column(TargetType::varchar, 3), Misfit::too_long));
  EXPECT_TRUE(too_narrow(column(TargetType::numeric, 4, 2), Misfit::out_of_range));
  EXPECT_FALSE(too_narrow(column(TargetType::varchar, 3), Misfit::nul));
  EXPECT_FALSE(too_narrow(column(TargetType::bigint, 0), Misfit::out_of_range));
  ColumnPlan existing = column(TargetType::varchar, 3);
  existing.existing_type = "character varying";
  EXPECT_FALSE(too_narrow(existing, Misfit::too_long));
}

TEST(Widening, LeavesARuleItsWord) {
  ColumnPlan ruled = column(TargetType::varchar, 3);
  ruled.rules = {{Misfit::too_long, Remedy::convert}};
  EXPECT_FALSE(too_narrow(ruled, Misfit::too_long));
}

TEST(Widening, MakesTextAndNumericWithoutLimits) {
  ColumnPlan text = column(TargetType::varchar, 3), number = column(TargetType::numeric, 4, 2);
  widen(text);
  widen(number);
  EXPECT_EQ(sql_type(text), "text");
  EXPECT_EQ(sql_type(number), "numeric");
}

TEST(RowMapperKeys, ADateWithATimeOfDayIsNoDateKey) {
  TablePlan plan;
  plan.source = plan.target = "t";
  plan.columns = {column(TargetType::date, 0)};
  plan.key = {"c"};
  RowMapper mapper(plan, Relation{1, "t", {"c"}, {0}});
  Reject why;
  EXPECT_TRUE(mapper.target_key({std::string("2024-01-05")}, why).has_value());
  EXPECT_FALSE(mapper.target_key({std::string("2024-01-05 00:00:00")}, why).has_value());
}

}  // namespace
}  // namespace tidegate
