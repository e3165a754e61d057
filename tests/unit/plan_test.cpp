#include "apply/plan.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "support/seeded.hpp"

namespace tidegate {
namespace {

ColumnPlan column(const std::string& name, TargetType type, int precision = 0, int scale = 0) {
  ColumnPlan plan;
  plan.source = plan.target = name;
  plan.type = type;
  plan.precision = precision;
  plan.scale = scale;
  return plan;
}

TablePlan sample() {
  ColumnPlan id = column("id", TargetType::bigint);
  id.not_null = id.identity = true;
  ColumnPlan seen = column("seen", TargetType::timestamptz);
  seen.time_form = TimeForm::julian_day;
  seen.rules = {{Misfit::zero_date, Remedy::null}, {Misfit::empty, Remedy::convert}};
  TablePlan plan;
  plan.source = plan.target = "User";
  plan.columns = {id, seen, column("pr\"ice", TargetType::numeric, 10, 2)};
  plan.key = {"id"};
  return plan;
}

TEST(Plan, SurvivesJson) {
  EXPECT_EQ(plan_from_json(to_json(sample())), sample());
}

TEST(Plan, RefusesWhatIsNoPlan) {
  const std::string good = to_json(sample());
  std::string unknown = good;
  unknown.replace(unknown.find("zero_date"), 9, "zero_dote");
  for (const std::string& bad : {std::string(), std::string("{}"), std::string("[1]"), good + "x", unknown}) {
    EXPECT_THROW(plan_from_json(bad), std::invalid_argument) << bad;
  }
}

TEST(Plan, NoTextMakesItCrash) {
  testing_support::Seeded random;
  SCOPED_TRACE(random.told());
  const std::string good = to_json(sample());
  int read = 0, refused = 0;
  for (int i = testing_support::Seeded::rounds(5000); i > 0; --i) {
    try {
      plan_from_json(random.mutated(good));
      ++read;
    } catch (const std::invalid_argument&) {
      ++refused;
    }
  }
  EXPECT_GT(read, 10);
  EXPECT_GT(refused, 10);
}

TEST(Plan, NamesAreThoseOfTheConfiguration) {
  EXPECT_EQ(name_of(Misfit::zero_date), "zero_date");
  EXPECT_EQ(name_of(Misfit::rejected), "rejected");
  EXPECT_EQ(name_of(Remedy::convert), "convert");
  EXPECT_EQ(misfit_named("too_long"), Misfit::too_long);
  EXPECT_EQ(misfit_named("nonsense"), std::nullopt);
  EXPECT_EQ(remedy_named("null"), Remedy::null);
  for (int i = 0; i <= static_cast<int>(Misfit::not_inserted); ++i) {
    EXPECT_EQ(misfit_named(name_of(static_cast<Misfit>(i))), static_cast<Misfit>(i));
  }
}

TEST(Plan, TypesAreWrittenAsDdlHasThem) {
  EXPECT_EQ(sql_type(column("c", TargetType::varchar, 80)), "varchar(80)");
  EXPECT_EQ(sql_type(column("c", TargetType::varchar)), "varchar");
  EXPECT_EQ(sql_type(column("c", TargetType::numeric, 10, 2)), "numeric(10,2)");
  EXPECT_EQ(sql_type(column("c", TargetType::double_precision)), "double precision");
}

TEST(Plan, NamesAreQuoted) {
  EXPECT_EQ(quoted("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(quoted_name(sample()), "\"public\".\"User\"");
}

}  // namespace
}  // namespace tidegate
