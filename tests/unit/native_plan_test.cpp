#include "apply/schema/native/native_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

SourceColumn column(const std::string& name, const std::string& type, bool not_null = false) {
  SourceColumn column;
  column.name = name;
  column.declared_type = type;
  column.not_null = not_null;
  return column;
}

TEST(NativePlan, ATypeWithoutItsModifierCutsNothing) {
  EXPECT_EQ(without_modifier("integer"), "integer");
  EXPECT_EQ(without_modifier("character varying(80)"), "character varying");
  EXPECT_EQ(without_modifier("numeric(10,2)[]"), "numeric[]");
  EXPECT_EQ(without_modifier("timestamp(3) with time zone"), "timestamp with time zone");
  EXPECT_EQ(without_modifier("time(0) without time zone[]"), "time without time zone[]");
  EXPECT_EQ(without_modifier("character(5)"), "bpchar");
  EXPECT_EQ(without_modifier("bpchar"), "bpchar");
  EXPECT_EQ(without_modifier("bit(3)"), "\"bit\"");
  EXPECT_EQ(without_modifier("\"bit\""), "\"bit\"");
  EXPECT_EQ(without_modifier("bit varying(8)[]"), "bit varying[]");
  EXPECT_EQ(without_modifier("interval day to second(3)"), "interval");
  EXPECT_EQ(without_modifier("interval year to month[]"), "interval[]");
  EXPECT_EQ(without_modifier("\"char\""), "\"char\"");
  EXPECT_EQ(without_modifier("public.\"Odd (1)\"[]"), "public.\"Odd (1)\"[]");
  EXPECT_EQ(without_modifier("public.geometry(Point,4326)"), "public.geometry");
}

TEST(NativePlan, NamesColumnsAndKeyAreTheSource) {
  SourceTable table;
  table.name = "sales.Order.lines";
  table.columns = {column("id", "bigint", true), column("Price", "numeric(10,2)"), column("sum", "numeric")};
  table.columns[0].default_sql = "GENERATED ALWAYS AS IDENTITY";
  table.columns[2].generated_sql = "\"Price\" * 2";
  table.primary_key = {"id"};
  TablePlan plan = native_plan(table);
  EXPECT_EQ(plan.source, "sales.Order.lines");
  EXPECT_EQ(plan.schema, "sales");
  EXPECT_EQ(plan.target, "Order.lines");
  ASSERT_EQ(plan.columns.size(), 2u);
  EXPECT_EQ(plan.columns[0].existing_type, "bigint");
  EXPECT_TRUE(plan.columns[0].identity && plan.columns[0].not_null);
  EXPECT_EQ(plan.columns[1].target, "Price");
  EXPECT_EQ(plan.columns[1].type, TargetType::native);
  EXPECT_FALSE(plan.columns[1].identity || plan.columns[1].not_null);
  EXPECT_THAT(plan.key, ElementsAre("id"));
  EXPECT_EQ(plan_from_json(to_json(plan)), plan);
}

TEST(NativePlan, AnExtensionsTypeIsWhereTheTargetHasIt) {
  SourceTable table;
  table.name = "public.users";
  table.columns = {column("email", "public.citext"), column("aliases", "public.citext[]"),
                   column("mood", "public.mood")};
  TablePlan plan = native_plan(table, {{{"public", "citext"}, "extensions"}});
  EXPECT_EQ(plan.columns[0].existing_type, "\"extensions\".citext");
  EXPECT_EQ(plan.columns[1].existing_type, "\"extensions\".citext[]");
  EXPECT_EQ(plan.columns[2].existing_type, "public.mood");
  EXPECT_THAT(plan.key, IsEmpty());
}

}  // namespace
}  // namespace tidegate
