// The rows of the value table in facts/sqlite.md that are decided for a whole column.
#include "apply/schema/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "apply/encode.hpp"
#include "apply/schema/column_type.hpp"
#include "apply/schema/declared_type.hpp"

namespace tidegate {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using namespace std::string_literals;

Value integer(std::int64_t value) {
  return value;
}
Value text(std::string value) {
  return value;
}
Value blob(std::string bytes) {
  return Blob{std::move(bytes)};
}

SourceTable table_of(const std::string& declared) {
  SourceTable table;
  table.name = "t";
  table.columns.resize(2);
  table.columns[0].name = "id";
  table.columns[0].declared_type = "INTEGER";
  table.columns[1].name = "c";
  table.columns[1].declared_type = declared;
  table.primary_key = {"id"};
  table.integer_key = true;
  return table;
}

TableMeasure measured(const Row& values) {
  TableMeasure measure_;
  measure_.columns.resize(2);
  for (const Value& value : values) measure(measure_.columns[1], value);
  measure_.rows = values.size();
  return measure_;
}

PlannedTable planned(const std::string& declared, const Row& values, std::vector<ColumnRule> rules = {}) {
  PlanOptions options;
  for (const ColumnRule& rule : rules) options.rules.push_back({"T", "C", rule});
  return plan_table(table_of(declared), measured(values), options);
}

std::vector<std::string> codes(const PlannedTable& table) {
  std::vector<std::string> codes;
  for (const Finding& finding : table.findings) codes.push_back(finding.code);
  return codes;
}

std::string type_of(const PlannedTable& table) {
  return sql_type(table.plan.columns.at(1));
}

struct TypeCase {
  std::string declared;
  Row values;
  std::string type;
  std::vector<std::string> codes;
};

TEST(Planner, TypesFollowDeclarationAndMeasure) {
  const std::int64_t max = std::numeric_limits<std::int64_t>::max();
  const std::vector<TypeCase> cases = {
      {"INTEGER", {integer(1), Null{}}, "bigint", {}},
      {"INT", {integer(3'000'000'000), integer(max)}, "bigint", {}},
      {"SMALLINT", {integer(-1)}, "bigint", {}},
      {"unsigned big int", {Value(2.0)}, "bigint", {}},
      {"INTEGER", {text("abc"), Value(2.5)}, "bigint", {"misfit-not-a-number"}},
      {"INTEGER", {Value(1e19)}, "bigint", {"misfit-out-of-range"}},
      {"BOOLEAN", {integer(0), integer(1)}, "boolean", {}},
      {"BOOLEAN", {integer(2), text("yes"), text("")}, "boolean", {"misfit-not-a-boolean"}},
      {"VARCHAR(5)", {text("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6")}, "varchar(5)", {}},
      {"NVARCHAR(5)", {text("abcdef")}, "text", {"varchar-widened"}},
      {"VARCHAR", {text("abcdef")}, "text", {}},
      {"VARCHAR(0)", {text("")}, "text", {"varchar-widened"}},
      {"TEXT",
       {text("a\0b"s), text("\xff"), blob("x")},
       "text",
       {"misfit-nul", "misfit-invalid-utf8", "misfit-wrong-class"}},
      {"TEXT", {blob("x")}, "bytea", {"text-holds-blobs"}},
      {"CLOB", {}, "text", {}},
      {"NUMERIC(10, 2)", {Value(12.25), integer(12345678), text("1.50")}, "numeric(10,2)", {}},
      {"NUMERIC(10,2)", {integer(123456789)}, "numeric", {"numeric-widened"}},
      {"DECIMAL(10,2)", {Value(0.125)}, "numeric", {"numeric-widened"}},
      {"DECIMAL(4)", {integer(1234)}, "numeric(4,0)", {}},
      {"DECIMAL", {text("x")}, "numeric", {"misfit-not-a-number"}},
      {"FLOAT", {Value(0.1), Value(std::numeric_limits<double>::infinity())}, "double precision", {}},
      {"REAL", {text("")}, "double precision", {"misfit-empty"}},
      {"BLOB", {blob("x"), text("y")}, "bytea", {}},
      {"LONGBLOB", {integer(1)}, "bytea", {"misfit-wrong-class"}},
      {"JSON", {text("{}"), integer(1)}, "jsonb", {}},
      {"JSON", {text("{'a':1}"), text("")}, "jsonb", {"misfit-empty", "misfit-invalid-json"}},
      {"DATE", {text("2024-01-02")}, "date", {}},
      {"DATE", {text("2024-01-02 03:04")}, "timestamptz", {"naive-times-are-utc", "date-widened"}},
      {"DATE", {integer(1700000000)}, "timestamptz", {"times-as-numbers", "date-widened"}},
      {"DATE", {text("0000-00-00"), text("")}, "date", {"misfit-empty", "misfit-zero-date"}},
      {"TIME", {text("03:04:05"), text("x")}, "time", {"misfit-not-a-time"}},
      {"DATETIME", {text("2024-01-02 03:04:05.000000")}, "timestamptz", {"naive-times-are-utc"}},
      {"DATETIME",
       {text("0000-00-00 00:00:00"), text(""), text("soon")},
       "timestamptz",
       {"naive-times-are-utc", "misfit-empty", "misfit-zero-date", "misfit-not-a-time"}},
      {"DATETIME", {integer(42)}, "timestamptz", {"times-mixed", "misfit-epoch"}},
      {"", {integer(1), integer(2)}, "bigint", {"type-measured"}},
      {"", {integer(1), Value(2.5)}, "double precision", {"type-measured"}},
      {"", {integer(max), Value(2.5)}, "numeric", {"type-measured"}},
      {"", {text("x"), integer(1)}, "text", {"type-measured"}},
      {"", {blob("x")}, "bytea", {"type-measured"}},
      {"", {}, "text", {"type-measured"}},
      {"UUID", {text("00000000-0000-0000-0000-000000000000")}, "text", {"type-unknown"}},
      {"MONEY", {integer(5), Value(2.5)}, "numeric", {"type-unknown"}},
      {"POINT", {text("1,2")}, "text", {"type-unknown"}},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const PlannedTable result = planned(cases[i].declared, cases[i].values);
    EXPECT_EQ(type_of(result), cases[i].type) << cases[i].declared << ", case " << i;
    EXPECT_EQ(codes(result), cases[i].codes) << cases[i].declared << ", case " << i;
  }
}

// What the planner announces as a misfit, the encoder refuses, and the other way round.
TEST(Planner, AgreesWithTheEncoder) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Row values = {
      Null{},        integer(0),         integer(2),       integer(1700000000), integer(1700000000000),
      Value(2.0),    Value(2.5),         Value(2460000.5), Value(1e19),         Value(infinity),
      text(""),      text("abc"),        text("12.5"),     text("2024-01-02"),  text("2024-01-02 03:04"),
      text("03:04"), text("0000-00-00"), text("a\0b"s),    text("\xff"),        text("{\"a\":1}"),
      text("[1,"),   blob("x")};
  for (const char* declared : {"INTEGER", "BOOLEAN", "VARCHAR(3)", "TEXT", "DECIMAL(4,1)", "REAL", "BLOB",
                               "JSON", "DATE", "TIME", "DATETIME", "", "THING"}) {
    for (const Value& value : values) {
      const PlannedTable result = planned(declared, {value});
      std::string out;
      const Encoded encoded = encode(value, result.plan.columns.at(1), out);
      const bool announced =
          !count_misfits(result.plan.columns.at(1), measured({value}).columns.at(1)).empty();
      EXPECT_EQ(encoded.state == Encoded::State::misfit, announced)
          << declared << " as " << type_of(result) << ", value " << (&value - values.data());
    }
  }
}

TEST(Planner, TimesAsNumbersAreKnownByTheirRange) {
  const auto form = [](const Row& values) {
    return planned("TIMESTAMP", values).plan.columns.at(1).time_form;
  };
  EXPECT_EQ(form({integer(1700000000), integer(0), Value(1.5e9)}), TimeForm::epoch_seconds);
  EXPECT_EQ(form({integer(-500000000), integer(1700000000)}), TimeForm::epoch_seconds);
  EXPECT_EQ(form({integer(1700000000000), Null{}, text("")}), TimeForm::epoch_milliseconds);
  EXPECT_EQ(form({Value(2460000.5), integer(2450000)}), TimeForm::julian_day);
  EXPECT_EQ(form({integer(1700000000), integer(1700000000000)}), TimeForm::iso_text);
  EXPECT_EQ(form({Value(2460000.5), integer(1700000000)}), TimeForm::iso_text);
  EXPECT_EQ(form({integer(1700000000), text("2024-01-02")}), TimeForm::iso_text);
  EXPECT_EQ(form({integer(1), integer(20240102)}), TimeForm::iso_text);
}

TEST(Planner, MixedTimesAreCountedAndToldHowToMend) {
  const PlannedTable result =
      planned("DATETIME", {integer(1700000000), text("2024-01-02"), text("0000-00-00")});
  EXPECT_EQ(codes(result), (std::vector<std::string>{"times-mixed", "misfit-zero-date", "misfit-epoch"}));
  const Finding& zero = result.findings.at(1);
  EXPECT_EQ(zero.level, Finding::Level::warn);
  EXPECT_EQ(zero.table, "t");
  EXPECT_EQ(zero.column, "c");
  EXPECT_EQ(zero.message,
            "column \"t\".\"c\" (timestamptz) holds a zero date in 1 row: they go to the quarantine");
  EXPECT_EQ(zero.mend, "[[rule]]\ntable = \"t\"\ncolumn = \"c\"\non = \"zero_date\"\ndo = \"null\"");
}

TEST(Planner, RulesAreKeptAndTold) {
  const PlannedTable result = planned("DATETIME", {text("0000-00-00")}, {{Misfit::zero_date, Remedy::null}});
  EXPECT_EQ(result.plan.columns.at(1).rules, (std::vector<ColumnRule>{{Misfit::zero_date, Remedy::null}}));
  EXPECT_EQ(result.findings.back().level, Finding::Level::note);
  EXPECT_THAT(result.findings.back().message, HasSubstr("become NULL"));
}

TEST(Planner, ATextRuleWidensTheColumn) {
  const PlannedTable result =
      planned("INTEGER", {text("abc"), integer(1)}, {{Misfit::not_a_number, Remedy::text}});
  EXPECT_EQ(type_of(result), "text");
  EXPECT_EQ(codes(result), (std::vector<std::string>{"text-by-rule"}));
}

TEST(Planner, IntegerPrimaryKeyIsAnIdentity) {
  const PlannedTable result = planned("TEXT", {});
  const ColumnPlan& id = result.plan.columns.at(0);
  EXPECT_TRUE(id.identity);
  EXPECT_TRUE(id.not_null);
  EXPECT_EQ(result.plan.key, (std::vector<std::string>{"id"}));
  EXPECT_EQ(result.plan.schema, "public");
  EXPECT_FALSE(result.plan.columns.at(1).identity);
}

TEST(Planner, WithoutAKeyTheRowidIsOne) {
  SourceTable table = table_of("TEXT");
  table.primary_key.clear();
  table.integer_key = false;
  table.identity = Identity::rowid;
  const PlannedTable result = plan_table(table, {}, {});
  EXPECT_EQ(result.plan.columns.at(0).source, "_rid");
  EXPECT_EQ(result.plan.columns.at(0).target, "_tidegate_rid");
  EXPECT_EQ(result.plan.key, (std::vector<std::string>{"_tidegate_rid"}));
  EXPECT_THAT(codes(result), Contains("no-primary-key"));
}

// The source tells such rows apart by the rowid; were the target to do so by the key, two rows that exchange
// keys in one cut would end as one.
TEST(Planner, ANullableKeyIsKeptButRowsAreFoundByTheRowid) {
  SourceTable table = table_of("TEXT");
  table.primary_key = {"c"};
  table.integer_key = false;
  table.identity = Identity::rowid;
  const PlannedTable result = plan_table(table, measured({text("a"), Null{}}), {});
  EXPECT_EQ(result.plan.columns.size(), 3U);
  EXPECT_EQ(result.plan.key, (std::vector<std::string>{"_tidegate_rid"}));
  EXPECT_TRUE(result.plan.columns.at(2).not_null);
  EXPECT_THAT(codes(result), Contains("misfit-null-key"));
}

TEST(Planner, APointInTimeInTheKeyStaysText) {
  SourceTable table = table_of("DATETIME");
  table.primary_key = {"c"};
  table.integer_key = false;
  const PlannedTable result =
      plan_table(table, measured({text("2024-01-05T00:00:00"), text("2024-01-05 00:00:00")}), {});
  EXPECT_EQ(result.plan.columns.at(1).type, TargetType::text);
  EXPECT_THAT(codes(result), Contains("key-as-text"));
}

TEST(Planner, GeneratedColumnsAreTranslatedOrCarried) {
  SourceTable table = table_of("INTEGER");
  table.columns[1].generated_sql = "id * 2";
  PlannedTable result = plan_table(table, {}, {});
  EXPECT_EQ(result.plan.columns.size(), 1U);
  EXPECT_EQ(codes(result), (std::vector<std::string>{"generated-translated"}));
  EXPECT_EQ(generated_on_target(table, result.plan, table.columns[1])->expression, "\"id\" * 2");

  table.columns[1].generated_sql = "random()";
  result = plan_table(table, {}, {});
  EXPECT_EQ(result.plan.columns.size(), 2U);
  EXPECT_EQ(codes(result), (std::vector<std::string>{"generated-carried"}));
  EXPECT_FALSE(generated_on_target(table, result.plan, table.columns[1]));
}

TEST(Planner, NamesThatPostgresCannotKeepBlock) {
  SourceTable table = table_of("TEXT");
  table.columns[1].name = std::string(64, 'x');
  const PlannedTable result = plan_table(table, {}, {});
  EXPECT_EQ(codes(result), (std::vector<std::string>{"name-too-long"}));
  EXPECT_EQ(result.findings[0].level, Finding::Level::block);
  table.columns[1].name = std::string(63, 'x');
  EXPECT_THAT(plan_table(table, {}, {}).findings, IsEmpty());
  table.columns[1].name = "ctid";
  EXPECT_EQ(codes(plan_table(table, {}, {})), (std::vector<std::string>{"name-reserved"}));
}

TEST(Planner, ColumnsThatDifferByCaseAreTwo) {
  SourceTable table = table_of("TEXT");
  table.columns[1].name = "C";
  EXPECT_EQ(plan_table(table, {}, {}).plan.columns.at(1).target, "C");
}

TEST(DeclaredType, AffinityIsSqlites) {
  EXPECT_EQ(affinity_of("CHARINT"), Affinity::integer);
  EXPECT_EQ(affinity_of("NVARCHAR(10)"), Affinity::text);
  EXPECT_EQ(affinity_of(""), Affinity::blob);
  EXPECT_EQ(affinity_of("DOUBLE PRECISION"), Affinity::real);
  EXPECT_EQ(affinity_of("STRING"), Affinity::numeric);
}

TEST(DeclaredType, ArgumentsAreRead) {
  EXPECT_EQ(declared_type("Decimal ( 10 , 2 )").arguments, (std::vector<int>{10, 2}));
  EXPECT_EQ(declared_type("VARYING CHARACTER(255)").family, Family::varchar);
  EXPECT_EQ(declared_type("timestamp with time zone").family, Family::datetime);
  EXPECT_EQ(declared_type("'weird").family, Family::unknown);
}

TEST(DeclaredType, AffinityConvertsAsSqliteDoes) {
  EXPECT_TRUE(identical(with_affinity(text("007"), Affinity::integer), integer(7)));
  EXPECT_TRUE(identical(with_affinity(text("1.5"), Affinity::integer), Value(1.5)));
  EXPECT_TRUE(identical(with_affinity(text("1.0"), Affinity::numeric), integer(1)));
  EXPECT_TRUE(identical(with_affinity(text("1"), Affinity::real), Value(1.0)));
  EXPECT_TRUE(identical(with_affinity(integer(5), Affinity::text), text("5")));
  EXPECT_TRUE(identical(with_affinity(text("abc"), Affinity::numeric), text("abc")));
  EXPECT_TRUE(identical(with_affinity(text("5"), Affinity::blob), text("5")));
}

// 'a' NUL and 'a' are two rows; a rule that strips would make them one.
TEST(Planner, NoRuleMendsAKey) {
  SourceTable table = table_of("TEXT");
  table.primary_key = {"c"};
  table.integer_key = false;
  PlanOptions options;
  options.rules = {{"t", "c", {Misfit::nul, Remedy::strip}}};
  auto result = plan_table(table, measured({text("a"), text("a\0"s)}), options);
  EXPECT_THAT(result.plan.columns.at(1).rules, IsEmpty());
  EXPECT_THAT(codes(result), Contains("rule-on-key"));
  table.identity = Identity::rowid;  // then the row is found by another column
  result = plan_table(table, measured({text("a")}), options);
  EXPECT_THAT(result.plan.columns.at(2).rules, testing::SizeIs(1));
  EXPECT_THAT(codes(result), Not(Contains("rule-on-key")));
}

// Exactly those that the encoder refuses.
TEST(Planner, NumbersWithASpellingOfTheirOwnAreCounted) {
  const auto table =
      planned("DECIMAL(10,2)", {text("007"), text("-0"), text("1e3"), text("12.25"), integer(1)});
  const auto found = std::find_if(table.findings.begin(), table.findings.end(), [](const Finding& finding) {
    return finding.code == "misfit-not-a-number";
  });
  ASSERT_NE(found, table.findings.end());
  EXPECT_THAT(found->message, HasSubstr(" in 3 rows"));
  EXPECT_EQ(planned("LICENCE", {text("007"), integer(1)}).plan.columns.back().type, TargetType::text);
}

}  // namespace
}  // namespace tidegate
