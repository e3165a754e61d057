#include "replicator/pipeline/new_shape.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apply/schema/native/native_plan.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

using capture::PostgresColumn;
using capture::PostgresTable;
using testing::ElementsAre;
using testing::IsEmpty;

PostgresColumn column(const std::string& name, const std::string& type) {
  PostgresColumn out;
  out.name = name;
  out.type = out.type_unbound = type;
  return out;
}

PostgresTable orders() {
  PostgresTable table;
  table.schema = "public";
  table.name = "orders";
  table.source = "public.orders";
  table.columns = {column("id", "integer"), column("n", "integer")};
  table.primary_key = table.identity = {"id"};
  return table;
}

TablePlan plan() {
  return native_plan(capture::as_source_table(orders()));
}

TEST(NewShape, WhatIsTheSameStaysAsItWasPlanned) {
  auto planned = plan();
  planned.columns[1].target = "other_name";
  NewShape shape = new_shape(orders(), orders(), planned);
  EXPECT_EQ(shape.plan, planned);
  EXPECT_THAT(shape.changes, IsEmpty());
  EXPECT_THAT(shape.wishes, IsEmpty());
}

TEST(NewShape, AColumnThatCameIsAddedWithItsRulesAsWishes) {
  auto now = orders();
  now.columns.push_back(column("grade", "integer"));
  now.columns.back().default_sql = "7";
  now.columns.back().not_null = true;
  NewShape shape = new_shape(orders(), now, plan());
  EXPECT_THAT(shape.changes, ElementsAre("ADD COLUMN IF NOT EXISTS \"grade\" integer"));
  EXPECT_THAT(shape.wishes,
              ElementsAre("ALTER COLUMN \"grade\" SET DEFAULT 7", "ALTER COLUMN \"grade\" SET NOT NULL"));
  EXPECT_EQ(shape.plan.columns.size(), 3u);
}

TEST(NewShape, AGeneratedColumnThatCameIsMadeAndNotFilled) {
  auto now = orders();
  now.columns.push_back(column("twice", "integer"));
  now.columns.back().generated = true;
  now.columns.back().generated_sql = "n * 2";
  NewShape shape = new_shape(orders(), now, plan());
  EXPECT_THAT(shape.changes,
              ElementsAre("ADD COLUMN IF NOT EXISTS \"twice\" integer GENERATED ALWAYS AS (n * 2) STORED"));
  EXPECT_EQ(shape.plan, plan());
  now.columns.back().generated_sql = "n * 3";
  auto known = now;
  known.columns.back().generated_sql = "n * 2";
  EXPECT_THROW(new_shape(known, now, plan()), Refused);
}

TEST(NewShape, AnotherTypeIsTakenOverUnderTheTargetsName) {
  auto now = orders();
  now.columns[1] = column("n", "bigint");
  auto planned = plan();
  planned.columns[1].target = "m";
  NewShape shape = new_shape(orders(), now, planned);
  EXPECT_THAT(shape.changes, ElementsAre("ALTER COLUMN \"m\" DROP DEFAULT",
                                         "ALTER COLUMN \"m\" TYPE bigint USING NULL::bigint"));
  EXPECT_EQ(shape.plan.columns[1].existing_type, "bigint");
  EXPECT_EQ(shape.plan.columns[1].target, "m");
}

// What an earlier resync was to add comes first, and stays as it is where it is there already.
TEST(NewShape, AColumnThatCameAndThenGotAnotherType) {
  auto known = orders(), now = orders();
  known.columns.push_back(column("more", "integer"));
  now.columns.push_back(column("more", "bigint"));
  EXPECT_THAT(new_shape(known, now, plan()).changes,
              ElementsAre("ADD COLUMN IF NOT EXISTS \"more\" bigint", "ALTER COLUMN \"more\" DROP DEFAULT",
                          "ALTER COLUMN \"more\" TYPE bigint USING NULL::bigint"));
}

TEST(NewShape, AColumnThatWentIsNamed) {
  auto now = orders();
  now.columns.pop_back();
  EXPECT_THAT(columns_that_went(plan(), now), ElementsAre("n"));
}

}  // namespace
}  // namespace tidegate
