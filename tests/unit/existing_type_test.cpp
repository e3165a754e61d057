#include "apply/schema/existing_type.hpp"

#include <gtest/gtest.h>

#include "apply/encode.hpp"
#include "apply/mapping/row_mapper.hpp"
#include "support/plans.hpp"

namespace tidegate {
namespace {

using testing_support::column;
using testing_support::integer;
using testing_support::text;

ColumnMeasure measured(const std::vector<Value>& values) {
  ColumnMeasure all;
  for (const Value& value : values) measure(all, value);
  return all;
}

int modifier_of(int precision, int scale) {
  return ((precision << 16) | (scale & 0x7ff)) + 4;
}

// The finding's code, or "" where the column is taken as it is.
std::string code(ColumnPlan plan, const ExistingColumn& existing, const std::vector<Value>& values = {},
                 bool in_key = false) {
  auto finding = adopt_type(plan, in_key, existing, measured(values), "public.t");
  if (!finding) return "";
  EXPECT_EQ(finding->level, Finding::Level::block);
  EXPECT_EQ(finding->column, "c");
  EXPECT_NE(finding->message.find("\"c\""), std::string::npos);
  return finding->code;
}

// What encode() makes of the value once the column has been taken; "misfit" where it refuses.
std::string written(TargetType type, const ExistingColumn& existing, const Value& value) {
  ColumnPlan plan = column("c", type);
  plan.existing_type = existing.type;
  EXPECT_FALSE(adopt_type(plan, false, existing, {}, "public.t"));
  std::string out;
  return encode(value, plan, out).state == Encoded::State::misfit ? "misfit" : out;
}

TEST(ExistingType, TypesThatAlterInSilenceAreRefusedWhateverTheValues) {
  for (const auto& [type, existing] : std::vector<std::pair<TargetType, ExistingColumn>>{
           {TargetType::double_precision, {"real"}},
           {TargetType::bigint, {"real"}},
           {TargetType::numeric, {"real"}},
           {TargetType::numeric, {"money"}},
           {TargetType::varchar, {"character", 14}},
           {TargetType::text, {"name"}},
           {TargetType::timestamptz, {"timestamp with time zone", 0}},
           {TargetType::timestamptz, {"timestamp without time zone", 3}},
           {TargetType::timestamptz, {"time with time zone"}},
           {TargetType::time, {"time without time zone", 0}},
           {TargetType::numeric, {"numeric", modifier_of(5, -2)}}}) {
    EXPECT_EQ(code(column("c", type), existing), "column-alters-values") << existing.type;
  }
  EXPECT_EQ(code(column("c", TargetType::double_precision), {"double precision"}), "");
  EXPECT_EQ(code(column("c", TargetType::timestamptz), {"timestamp with time zone"}), "");
  EXPECT_EQ(code(column("c", TargetType::timestamptz), {"timestamp without time zone", 6}), "");
}

TEST(ExistingType, ValuesThatWereMeasuredAndDoNotFitAreRefused) {
  const auto too_narrow = [](TargetType type, const ExistingColumn& existing,
                             const std::vector<Value>& values) {
    return code(column("c", type), existing, values) == "column-too-narrow";
  };
  EXPECT_TRUE(too_narrow(TargetType::bigint, {"smallint"}, {integer(40000)}));
  EXPECT_FALSE(too_narrow(TargetType::bigint, {"smallint"}, {integer(-32768), integer(32767)}));
  EXPECT_TRUE(too_narrow(TargetType::bigint, {"integer"}, {integer(-3000000000)}));
  EXPECT_FALSE(too_narrow(TargetType::bigint, {"integer"}, {integer(40000)}));
  EXPECT_TRUE(too_narrow(TargetType::double_precision, {"bigint"}, {2.5}));
  EXPECT_FALSE(too_narrow(TargetType::double_precision, {"bigint"}, {3.0}));
  EXPECT_TRUE(too_narrow(TargetType::numeric, {"numeric", modifier_of(6, 2)}, {12345.5}));
  EXPECT_TRUE(too_narrow(TargetType::numeric, {"numeric", modifier_of(6, 2)}, {1.125}));
  EXPECT_FALSE(too_narrow(TargetType::numeric, {"numeric", modifier_of(6, 2)}, {1234.25}));
  EXPECT_TRUE(too_narrow(TargetType::timestamptz, {"date"}, {text("2024-01-02 03:04:05")}));
  EXPECT_FALSE(too_narrow(TargetType::timestamptz, {"date"}, {text("2024-01-02")}));
  EXPECT_TRUE(too_narrow(TargetType::text, {"character varying", 7}, {text("four")}));
  EXPECT_FALSE(too_narrow(TargetType::text, {"character varying", 8}, {text("four")}));
  EXPECT_TRUE(too_narrow(TargetType::bigint, {"boolean"}, {integer(2)}));
  EXPECT_TRUE(too_narrow(TargetType::bigint, {"double precision"}, {integer((std::int64_t{1} << 60) + 1)}));
}

TEST(ExistingType, ARuleForTheValuesLetsThemPass) {
  ColumnPlan plan = column("c", TargetType::text);
  plan.rules = {{Misfit::too_long, Remedy::convert}};
  EXPECT_EQ(code(plan, {"character varying", 7}, {text("four")}), "");
}

TEST(ExistingType, WhatComesLaterIsRefusedRowByRowAndNeverAltered) {
  const ExistingColumn narrow{"numeric", modifier_of(6, 2)};
  EXPECT_EQ(written(TargetType::double_precision, narrow, 1.25), "1.25");
  EXPECT_EQ(written(TargetType::double_precision, narrow, 1.125), "misfit");
  EXPECT_EQ(written(TargetType::varchar, {"character varying", 7}, text("ab  ")), "misfit");
  EXPECT_EQ(written(TargetType::timestamptz, {"date"}, text("2024-01-02 03:04:05")), "misfit");
  EXPECT_EQ(written(TargetType::timestamptz, {"date"}, text("2024-01-02")), "2024-01-02");
  EXPECT_EQ(written(TargetType::bigint, {"double precision"}, integer((std::int64_t{1} << 60) + 1)),
            "misfit");
  EXPECT_EQ(written(TargetType::boolean, {"integer"}, integer(1)), "1");
  EXPECT_EQ(written(TargetType::bigint, {"smallint"}, integer(32767)), "32767");
  EXPECT_EQ(written(TargetType::bigint, {"smallint"}, integer(32768)), "misfit");
  EXPECT_EQ(written(TargetType::bigint, {"integer"}, integer(-2147483648)), "-2147483648");
  EXPECT_EQ(written(TargetType::double_precision, {"integer"}, 2147483648.0), "misfit");
  EXPECT_EQ(written(TargetType::bytea, {"text"}, Blob{"x"}), "misfit");
  EXPECT_EQ(written(TargetType::text, {"integer"}, text("12")), "12");
  EXPECT_EQ(written(TargetType::text, {"integer"}, text("012")), "misfit");
  EXPECT_EQ(written(TargetType::text, {"bytea"}, text("\\x41")), "\\x5c783431");
  EXPECT_EQ(written(TargetType::varchar, {"text"}, text("longer than declared")), "longer than declared");
}

TEST(ExistingType, AColumnWithoutAZoneTakesNoOther) {
  const ExistingColumn naive{"timestamp without time zone"};
  EXPECT_EQ(written(TargetType::timestamptz, naive, text("2024-01-02 03:04:05")), "2024-01-02 03:04:05+00");
  EXPECT_EQ(written(TargetType::timestamptz, naive, text("2024-01-02 03:04:05Z")), "2024-01-02 03:04:05Z");
  EXPECT_EQ(written(TargetType::timestamptz, naive, text("2024-01-02 03:04:05+02:00")), "misfit");
}

TEST(ExistingType, KeysStayApart) {
  const auto merges = [](TargetType type, const ExistingColumn& existing) {
    return code(column("c", type, true), existing, {}, true) == "key-not-told-apart";
  };
  EXPECT_TRUE(merges(TargetType::text, {"extensions.citext"}));
  EXPECT_TRUE(merges(TargetType::text, {"timestamp with time zone"}));
  EXPECT_TRUE(merges(TargetType::text, {"numeric"}));
  EXPECT_TRUE(merges(TargetType::text, {"inet"}));
  EXPECT_TRUE(merges(TargetType::bigint, {"double precision"}));
  EXPECT_TRUE(merges(TargetType::text, {"text", -1, false, true}));
  EXPECT_FALSE(merges(TargetType::text, {"public.tier", -1, true}));
  EXPECT_FALSE(merges(TargetType::text, {"uuid"}));
  EXPECT_FALSE(merges(TargetType::bigint, {"integer"}));
  EXPECT_FALSE(merges(TargetType::bigint, {"text"}));
}

TEST(ExistingType, AUuidKeyHasOneSpelling) {
  auto plan = testing_support::plan("t", {column("c", TargetType::text)});
  plan.columns[0].existing_type = "uuid";
  const RowMapper mapper(plan, testing_support::relation_of(plan));
  Reject why;
  EXPECT_TRUE(mapper.target_key({text("7d444840-9dc0-11d1-b245-5ffdce74fad2")}, why));
  EXPECT_FALSE(mapper.target_key({text("7D444840-9DC0-11D1-B245-5FFDCE74FAD2")}, why));
  EXPECT_FALSE(mapper.target_key({text("{7d444840-9dc0-11d1-b245-5ffdce74fad2}")}, why));
}

}  // namespace
}  // namespace tidegate
