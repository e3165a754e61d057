#include "apply/schema/expression.hpp"

#include <gtest/gtest.h>

#include "apply/schema/tokens.hpp"

namespace tidegate {
namespace {

struct Shape {
  SourceTable table;
  TablePlan plan;

  ColumnPlan& add(const std::string& name, TargetType type, const std::string& declared = "") {
    SourceColumn source;
    source.name = name;
    source.declared_type = declared;
    table.columns.push_back(source);
    ColumnPlan column;
    column.source = column.target = name;
    column.type = type;
    plan.columns.push_back(column);
    return plan.columns.back();
  }
};

Shape sample() {
  Shape shape;
  shape.table.name = shape.plan.source = shape.plan.target = "t";
  shape.add("n", TargetType::bigint);
  shape.add("m", TargetType::bigint);
  shape.add("x", TargetType::double_precision);
  shape.add("price", TargetType::numeric);
  shape.add("flag", TargetType::boolean);
  shape.add("Name", TargetType::text);
  shape.add("mail", TargetType::varchar);
  shape.table.columns.back().collation = "NOCASE";
  shape.add("tail", TargetType::text);
  shape.table.columns.back().collation = "RTRIM";
  shape.add("odd", TargetType::text);
  shape.table.columns.back().collation = "GERMAN";
  shape.add("seen", TargetType::timestamptz);
  shape.add("from_s", TargetType::timestamptz).time_form = TimeForm::epoch_seconds;
  shape.add("to_s", TargetType::timestamptz).time_form = TimeForm::epoch_seconds;
  shape.add("born", TargetType::date);
  shape.add("died", TargetType::date);
  shape.add("doc", TargetType::jsonb);
  shape.add("raw", TargetType::bytea);
  shape.add("sum", TargetType::bigint);
  shape.table.columns.back().generated_sql = "n + m";
  return shape;
}

std::string condition(const std::string& sql) {
  const Shape shape = sample();
  const Translated result = translate_condition(sql, shape.table, shape.plan);
  EXPECT_EQ(result.sql.empty(), !result.refusal.empty());
  return result ? result.sql : "refused: " + result.refusal;
}

struct Pair {
  const char* sqlite;
  const char* postgres;
};

class Conditions : public testing::TestWithParam<Pair> {};

TEST_P(Conditions, MeanTheSame) {
  EXPECT_EQ(condition(GetParam().sqlite), GetParam().postgres);
}

INSTANTIATE_TEST_SUITE_P(
    Expression, Conditions,
    testing::Values(
        Pair{"n > 0", R"("n" > 0)"},
        Pair{"[n]==1 AND `m`!=2 OR NOT n<>m", R"((("n" = 1) AND ("m" <> 2)) OR (NOT ("n" <> "m")))"},
        Pair{"\"N\" >= -5", R"("n" >= (-5))"}, Pair{"t.n = \"t\".m", R"("n" = "m")"},
        Pair{"n /* x */ IN (1, 2, 3) -- y", R"("n" IN (1, 2, 3))"}, Pair{"n NOT IN (1)", R"("n" NOT IN (1))"},
        Pair{"Name IN ('a', \"b\")", R"("Name" IN ('a', 'b'))"},
        Pair{"n BETWEEN 1 AND 10", R"(("n" >= 1) AND ("n" <= 10))"},
        Pair{"n NOT BETWEEN 1 AND 10 AND m = 1", R"((NOT (("n" >= 1) AND ("n" <= 10))) AND ("m" = 1))"},
        Pair{"n IS NULL", R"("n" IS NULL)"}, Pair{"n NOTNULL", R"("n" IS NOT NULL)"},
        Pair{"n IS NOT 5", R"("n" IS DISTINCT FROM 5)"}, Pair{"n NOT NULL", R"("n" IS NOT NULL)"},
        Pair{"x * 1.5 < n", R"(("x" * 1.5) < "n")"},
        Pair{"n + m * 2 - 60 * 60 > n / 2 % 3",
             R"((("n" + ("m" * 2)) - (60::bigint * 60)) > (("n" / 2) % 3))"},
        Pair{"price > 0.5", R"("price" > 0.5)"}, Pair{"flag = 1", R"("flag" = true)"},
        Pair{"0 <> flag", R"(false <> "flag")"}, Pair{"flag", R"("flag")"},
        Pair{"NOT flag OR n", R"((NOT "flag") OR ("n" <> 0))"},
        Pair{"flag IS TRUE", R"("flag" IS NOT DISTINCT FROM true)"},
        Pair{"(n IS NULL) + (m IS NULL) = 1", R"((("n" IS NULL)::int + ("m" IS NULL)::int) = 1)"},
        Pair{"Name < 'm'", R"("Name" COLLATE "C" < 'm' COLLATE "C")"},
        Pair{"length(Name) <= 80", R"(length("Name") <= 80)"},
        Pair{"length(raw) = 16", R"(length("raw") = 16)"},
        Pair{"raw = x'00FF'", R"("raw" = '\x00FF'::bytea)"},
        Pair{"mail = 'A@b'", R"(lower("mail" COLLATE "C") = lower('A@b' COLLATE "C"))"},
        Pair{"mail IN ('A')", R"(lower("mail" COLLATE "C") IN (lower('A' COLLATE "C")))"},
        Pair{"tail = 'x '", R"(rtrim("tail") = rtrim('x '))"},
        Pair{"mail = Name COLLATE BINARY", R"("mail" = "Name")"},
        Pair{"Name LIKE 'a\\%%'", R"(("Name" COLLATE "C") ILIKE 'a\%%' ESCAPE '')"},
        Pair{"Name NOT LIKE 'a!%%' ESCAPE '!'", R"(("Name" COLLATE "C") NOT ILIKE 'a!%%' ESCAPE '!')"},
        Pair{"lower(Name) = upper(trim(Name))",
             R"(lower("Name" COLLATE "C") = upper(btrim("Name") COLLATE "C"))"},
        Pair{"Name || n = 'it''s'", R"(("Name" || ("n")::text) = 'it''s')"},
        Pair{"coalesce(n, 0) + ifnull(m, 1) = abs(n)", R"((coalesce("n", 0) + coalesce("m", 1)) = abs("n"))"},
        Pair{"substr(Name, 1, 2) = 'ab'", R"(substr("Name", 1, 2) = 'ab')"},
        Pair{"instr(Name, '@') > 1", R"(strpos("Name", '@') > 1)"},
        Pair{"replace(Name, ' ', '') <> ''", R"(replace("Name", ' ', '') <> '')"},
        Pair{"born >= '1900-01-01'", R"("born" >= DATE '1900-01-01')"},
        Pair{"died IS NULL OR died >= born", R"(("died" IS NULL) OR ("died" >= "born"))"},
        Pair{"from_s < to_s", R"("from_s" < "to_s")"}, Pair{"sum > 0", R"("sum" > 0)"},
        Pair{"doc IS NOT NULL", R"("doc" IS NOT NULL)"}, Pair{"Name = NULL", R"("Name" = NULL)"}));

INSTANTIATE_TEST_SUITE_P(
    Refused, Conditions,
    testing::Values(
        Pair{"Name GLOB 'a*'", "refused: GLOB"}, Pair{"Name REGEXP 'a'", "refused: REGEXP"},
        Pair{"typeof(n) = 'integer'", "refused: typeof()"},
        Pair{"n / m > 1", "refused: a division by what may be zero"},
        Pair{"n % 0 = 1", "refused: a division by what may be zero"},
        Pair{"price * 2 > 1", "refused: arithmetic that SQLite does in floating point"},
        Pair{"n * 1.5 > 1", "refused: arithmetic that SQLite does in floating point"},
        Pair{"Name = 5", "refused: a comparison of different types"},
        Pair{"n = '5'", "refused: a comparison of different types"},
        Pair{"flag = 2", "refused: a comparison of different types"},
        Pair{"flag > 0", "refused: an order of booleans"},
        Pair{"odd = 'x'", "refused: a collation of the application's own"},
        Pair{"seen > '2020-01-01'", "refused: a comparison of different types"},
        Pair{"seen > seen", "refused: a comparison of times that SQLite makes as texts"},
        Pair{"seen > from_s", "refused: a comparison of times that SQLite makes as texts"},
        Pair{"doc = doc", "refused: a comparison of JSON"},
        Pair{"born > 'x'", "refused: a date compared with a text that is none"},
        Pair{"nope = 1", "refused: NOPE"}, Pair{"u.n = 1", "refused: a column of another table"},
        Pair{"n IN (SELECT 1)", "refused: IN with a query or nothing"},
        Pair{"n IN ()", "refused: IN with a query or nothing"},
        Pair{"(n, m) = (1, 2)", "refused: row values"}, Pair{"n & 1", "refused: operators on bits"},
        Pair{"doc -> 'a' = 1", "refused: operators on JSON"},
        Pair{"n = 0x10", "refused: a number of that form"},
        Pair{"n = 99999999999999999999", "refused: a number of that size"},
        Pair{"CASE WHEN n THEN 1 END", "refused: CASE"}, Pair{"n = ?", "refused: syntax that is not known"},
        Pair{"n = 'x", "refused: text that is no expression"},
        Pair{"n = 1 2", "refused: the words after a complete expression"},
        Pair{"Name", "refused: a value used as a condition"}, Pair{"max(n, m) > 1", "refused: max()"},
        Pair{"round(x) = 1", "refused: round()"}, Pair{"substr(Name, -1) = 'a'", "refused: substr()"},
        Pair{"Name LIKE mail", "refused: LIKE other than of a text and a literal"},
        Pair{"x || 'a' = 'b'", "refused: a text made of a value that both print differently"},
        Pair{"n >", "refused: syntax that is not known"}, Pair{"", "refused: syntax that is not known"},
        Pair{"count(*) > 1", "refused: an aggregate"},
        Pair{"Name > CURRENT_TIMESTAMP", "refused: CURRENT_TIMESTAMP"}));

TEST(Expression, DeepNestingIsRefusedNotFatal) {
  EXPECT_EQ(condition(std::string(100000, '(') + "n" + std::string(100000, ')')),
            "refused: an expression nested too deeply");
  EXPECT_EQ(condition("n = " + std::string(100000, '-') + "1").substr(0, 8), "refused:");
}

TEST(Expression, ConditionsThatTheTypesImplyAreKnown) {
  const Shape shape = sample();
  const auto implied = [&](const char* sql) {
    return translate_condition(sql, shape.table, shape.plan).never_false;
  };
  EXPECT_TRUE(implied("flag IN (0, 1)"));
  EXPECT_TRUE(implied("(flag IS NULL OR flag IN (1, 0))"));
  EXPECT_TRUE(implied("flag BETWEEN 0 AND 1"));
  EXPECT_TRUE(implied("json_valid(doc) OR doc IS NULL"));
  EXPECT_FALSE(implied("flag IN (0)"));
  EXPECT_FALSE(implied("flag NOT IN (0, 1)"));
  EXPECT_FALSE(implied("n IN (0, 1)"));
  EXPECT_FALSE(implied("flag IN (0, 1) AND n > 0"));
}

std::string generated(const std::string& sql, TargetType type) {
  const Shape shape = sample();
  const Translated result = translate_generated(sql, shape.table, shape.plan, type);
  return result ? result.sql : "refused: " + result.refusal;
}

TEST(Expression, GeneratedColumns) {
  EXPECT_EQ(generated("n * m", TargetType::bigint), R"("n" * "m")");
  EXPECT_EQ(generated("Name || ' ' || mail", TargetType::text), R"(("Name" || ' ') || "mail")");
  EXPECT_EQ(generated("n > 0", TargetType::boolean), R"("n" > 0)");
  EXPECT_EQ(generated("n", TargetType::double_precision), R"("n")");
  EXPECT_EQ(generated("n * m", TargetType::text), "refused: a result of another type than the column's");
  EXPECT_EQ(generated("sum + 1", TargetType::bigint), "refused: another generated column");
}

TEST(Expression, IndexKeys) {
  const Shape shape = sample();
  const auto key = [&](const char* sql, bool unique) {
    return translate_index_key(sql, shape.table, shape.plan, unique).sql;
  };
  EXPECT_EQ(key("mail", true), R"(lower("mail" COLLATE "C"))");
  EXPECT_EQ(key("mail", false), R"(lower("mail"))");
  EXPECT_EQ(key("lower(Name)", false), R"(lower("Name"))");
  EXPECT_EQ(key("lower(Name)", true), R"(lower("Name" COLLATE "C"))");
  EXPECT_EQ(key("Name COLLATE NOCASE", true), R"(lower("Name" COLLATE "C"))");
  EXPECT_EQ(key("tail", true), R"(rtrim("tail"))");
  EXPECT_EQ(key("n + m", true), R"(("n" + "m"))");
  EXPECT_EQ(key("n", true), R"("n")");
  EXPECT_EQ(translate_index_key("doc", shape.table, shape.plan, true).refusal, "a key that has no order");
}

struct DefaultCase {
  const char* declared;
  TargetType type;
  const char* sqlite;
  const char* postgres;
};

class Defaults : public testing::TestWithParam<DefaultCase> {};

TEST_P(Defaults, AreTranslated) {
  const auto& c = GetParam();
  SourceColumn source;
  source.declared_type = c.declared;
  ColumnPlan column;
  column.type = c.type;
  if (c.type == TargetType::varchar) column.precision = 3;
  const Translated result = translate_default(c.sqlite, source, column);
  EXPECT_EQ(result ? result.sql : "refused: " + result.refusal, c.postgres) << c.sqlite;
}

INSTANTIATE_TEST_SUITE_P(
    Expression, Defaults,
    testing::Values(
        DefaultCase{"INTEGER", TargetType::bigint, "0", "0"},
        DefaultCase{"INTEGER", TargetType::bigint, "'0'", "0"},
        DefaultCase{"INTEGER", TargetType::bigint, "((-5))", "-5"},
        DefaultCase{"INTEGER", TargetType::bigint, "'abc'",
                    "refused: a default that does not fit the column's type"},
        DefaultCase{"BOOLEAN", TargetType::boolean, "1", "true"},
        DefaultCase{"BOOLEAN", TargetType::boolean, "'0'", "false"},
        DefaultCase{"BOOLEAN", TargetType::boolean, "FALSE", "false"},
        DefaultCase{"TEXT", TargetType::text, "'it''s'", "'it''s'"},
        DefaultCase{"TEXT", TargetType::text, "\"draft\"", "'draft'"},
        DefaultCase{"TEXT", TargetType::text, "5", "'5'"}, DefaultCase{"TEXT", TargetType::text, "''", "''"},
        DefaultCase{"VARCHAR(3)", TargetType::varchar, "'abcd'",
                    "refused: a default that does not fit the column's type"},
        DefaultCase{"REAL", TargetType::double_precision, "1", "'1'"},
        DefaultCase{"DECIMAL", TargetType::numeric, "0.50", "'0.5'"},
        DefaultCase{"BLOB", TargetType::bytea, "x'00ff'", "'\\x00ff'"},
        DefaultCase{"JSON", TargetType::jsonb, "'{}'", "'{}'"},
        DefaultCase{"JSON", TargetType::jsonb, "'{'",
                    "refused: a default that does not fit the column's type"},
        DefaultCase{"TEXT", TargetType::text, "NULL", "NULL"},
        DefaultCase{"DATE", TargetType::date, "'2020-01-02'", "'2020-01-02'"},
        DefaultCase{"DATETIME", TargetType::timestamptz, "'2020-01-02 03:04:05'", "'2020-01-02 03:04:05+00'"},
        DefaultCase{"DATETIME", TargetType::timestamptz, "CURRENT_TIMESTAMP", "now()"},
        DefaultCase{"DATETIME", TargetType::timestamptz, "(datetime('now'))", "now()"},
        DefaultCase{"DATETIME", TargetType::timestamptz, "strftime('%Y-%m-%d %H:%M:%f', 'now')", "now()"},
        DefaultCase{"DATETIME", TargetType::timestamptz, "datetime('now', 'localtime')",
                    "refused: an expression that is not known"},
        DefaultCase{"INTEGER", TargetType::bigint, "(strftime('%s', 'now'))",
                    "floor(extract(epoch FROM now()))::bigint"},
        DefaultCase{"TEXT", TargetType::text, "CURRENT_TIMESTAMP",
                    "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"},
        DefaultCase{"DATE", TargetType::date, "(date('now'))", "(now() AT TIME ZONE 'UTC')::date"},
        DefaultCase{"TIME", TargetType::time, "CURRENT_TIME", "(now() AT TIME ZONE 'UTC')::time(0)"},
        DefaultCase{"DATE", TargetType::date, "CURRENT_TIMESTAMP",
                    "refused: a moment that the column's type does not hold"},
        DefaultCase{"TEXT", TargetType::text, "(lower(hex(randomblob(16))))",
                    "refused: an expression that is not known"}));

TEST(Tokens, CreateIndexIsSplit) {
  const auto text = split_create_index(
      "CREATE UNIQUE INDEX \"i(x\" ON t (a, lower(b), \"c,d\" COLLATE NOCASE DESC, (e + 1) asc) WHERE f IN "
      "(1, 2)");
  ASSERT_TRUE(text);
  EXPECT_EQ(text->parts, (std::vector<std::string>{"a", "lower(b)", "\"c,d\" COLLATE NOCASE", "(e + 1)"}));
  EXPECT_EQ(text->where, " f IN (1, 2)");
  EXPECT_FALSE(split_create_index("CREATE INDEX i ON t"));
  EXPECT_FALSE(split_create_index("CREATE INDEX i ON t (a"));
}

}  // namespace
}  // namespace tidegate
