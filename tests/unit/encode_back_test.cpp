// The way there and back: legacy value, forward encoder, what a server prints of that, and the legacy's bytes
// again.
#include "apply/sqlite/encode_back.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "apply/encode.hpp"
#include "apply/meaning.hpp"
#include "apply/schema/planner.hpp"
#include "support/plans.hpp"

namespace tidegate {
namespace {

using testing_support::integer;
using testing_support::text;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value blob(std::string bytes) {
  return Blob{std::move(bytes)};
}

// A column of that declared type, as the planner treats it where it holds these values, and as its newest
// values say.
ReverseColumn column_of(const std::string& declared, const std::vector<Value>& values,
                        std::vector<ColumnRule> rules = {}) {
  SourceTable table;
  table.name = "t";
  table.columns = {{"id", "INTEGER", true, {}, "BINARY", {}, false},
                   {"c", declared, false, {}, "BINARY", {}, false}};
  table.primary_key = {"id"};
  table.integer_key = true;
  TableMeasure measured;
  measured.rows = values.size();
  measured.columns.resize(2);
  for (const Value& value : values) measure(measured.columns[1], value);
  PlanOptions options;
  for (const auto& rule : rules) options.rules.push_back({"t", "c", rule});
  auto back = plan_back(plan_table(table, measured, options).plan, table);
  EXPECT_TRUE(back.findings.empty());
  ReverseColumn column = back.table.columns.at(1);
  for (const Value& value : values) learn(column.form, value, column.is_time());
  return column;
}

std::string shown(const std::variant<Value, Misfit>& result) {
  if (auto* misfit = std::get_if<Misfit>(&result)) return "<" + std::string(name_of(*misfit)) + ">";
  const Value& value = std::get<Value>(result);
  return std::string(storage_class(value)) + " " + key_as_json({value});
}

struct Case {
  const char* declared;
  Value legacy;
  const char* printed;  // by the server, of what the forward encoder wrote
};

TEST(EncodeBack, ReturnsTheLegacysBytes) {
  const Case cases[] = {
      {"INTEGER", integer(9223372036854775807), "9223372036854775807"},
      {"INTEGER", integer(-5), "-5"},
      {"INT", integer(3000000000), "3000000000"},
      {"BOOLEAN", integer(0), "f"},
      {"BOOLEAN", integer(1), "t"},
      {"VARCHAR(5)", text("longer than five"), "longer than five"},
      {"TEXT", text(""), ""},
      {"TEXT", text("007"), "007"},
      {"TEXT", text("Zoë 😀"), "Zoë 😀"},
      {"REAL", Value(2.5), "2.5"},
      {"REAL", Value(2.0), "2"},
      {"FLOAT", Value(0.1), "0.1"},
      {"REAL", Value(kInfinity), "Infinity"},
      {"REAL", Value(5e-324), "5e-324"},
      {"NUMERIC(6,2)", Value(12.25), "12.25"},
      {"NUMERIC(6,2)", integer(5), "5.00"},
      {"NUMERIC", Value(0.1), "0.1"},
      {"DATETIME", text("2026-03-01 12:34:56.000000"), "2026-03-01 12:34:56+00"},
      {"DATETIME", text("2026-03-01 12:34:56.123450"), "2026-03-01 12:34:56.12345+00"},
      {"DATETIME", text("2026-03-01 12:34:56"), "2026-03-01 12:34:56+00"},
      {"DATETIME", text("2026-03-01T12:34:56.500Z"), "2026-03-01 12:34:56.5+00"},
      {"DATETIME", text("2026-03-01 12:34"), "2026-03-01 12:34:00+00"},
      {"DATETIME", text("2026-03-01"), "2026-03-01 00:00:00+00"},
      {"DATETIME", text("0001-01-01 00:00:00.000000"), "0001-01-01 00:00:00+00"},
      {"DATETIME", integer(1772368496), "2026-03-01 12:34:56+00"},
      {"DATETIME", Value(1772368496.25), "2026-03-01 12:34:56.25+00"},
      {"DATETIME", integer(1772368496123), "2026-03-01 12:34:56.123+00"},
      {"DATETIME", Value(2461101.25), "2026-03-01 18:00:00+00"},
      {"DATETIME", integer(2461101), "2026-03-01 12:00:00+00"},
      {"DATE", text("2026-03-01"), "2026-03-01"},
      {"DATE", text("2026-03-01 00:00:00.000000"), "2026-03-01 00:00:00+00"},
      {"TIME", text("12:34:56.000000"), "12:34:56"},
      {"TIME", text("12:34"), "12:34:00"},
      {"BLOB", blob(std::string("\0\xff\x10", 3)), "\\x00ff10"},
      {"BLOB", text("bytes as text"), "\\x62797465732061732074657874"},
      {"JSON", text("[1, \"a\"]"), "[1, \"a\"]"},
      {"JSON", text("null"), "null"},
      {"JSON", integer(12), "12"},
      {"uuid_of_mine", text("x1"), "x1"},
  };
  for (const Case& each : cases) {
    const ReverseColumn column = column_of(each.declared, {each.legacy});
    std::string forward;
    ASSERT_EQ(encode(each.legacy, column.forward, forward).state, Encoded::State::value) << each.declared;
    EXPECT_TRUE(same_meaning(forward, each.printed, column.forward)) << each.declared << " " << forward;
    const auto back = encode_back(text(each.printed), column);
    EXPECT_EQ(shown(back), shown(each.legacy)) << each.declared << " " << each.printed;
  }
}

TEST(EncodeBack, AnEmptyColumnIsWrittenAsSqlAlchemyDoes) {
  EXPECT_EQ(shown(encode_back(text("2026-03-01 12:34:56+00"), column_of("DATETIME", {}))),
            "text [\"2026-03-01 12:34:56.000000\"]");
  EXPECT_EQ(shown(encode_back(text("2026-03-01"), column_of("DATE", {}))), "text [\"2026-03-01\"]");
  EXPECT_EQ(shown(encode_back(text("12:34:56"), column_of("TIME", {}))), "text [\"12:34:56.000000\"]");
}

TEST(EncodeBack, WhatMeansTheSameStays) {
  struct Held {
    const char* declared;
    Value legacy;
    const char* printed;
    std::vector<ColumnRule> rules;
  };
  const Held cases[] = {
      {"DATETIME", text("2026-03-01T12:34:56+01:00"), "2026-03-01 11:34:56+00", {}},
      {"JSON", text("{\"b\":1,\"a\":[2,\"\\u00fc\"]}"), "{\"a\": [2, \"ü\"], \"b\": 1}", {}},
      {"NUMERIC(8,2)", text("5.50"), "5.50", {}},
      {"BOOLEAN", integer(2), "t", {{Misfit::not_a_boolean, Remedy::convert}}},
      {"BOOLEAN", text("yes"), "t", {{Misfit::not_a_boolean, Remedy::convert}}},
      {"INTEGER", Value(2.0), "2", {}},
  };
  for (const Held& each : cases) {
    const ReverseColumn column = column_of(each.declared, {each.legacy}, each.rules);
    EXPECT_EQ(shown(encode_back(text(each.printed), column, &each.legacy)), shown(each.legacy))
        << each.declared;
  }
  const ReverseColumn dates =
      column_of("DATETIME", {text("0000-00-00 00:00:00")}, {{Misfit::zero_date, Remedy::null}});
  const Value zero = text("0000-00-00 00:00:00");
  EXPECT_EQ(shown(encode_back(Null{}, dates, &zero)), shown(zero));
  EXPECT_EQ(shown(encode_back(Null{}, dates)), "null [null]");
}

TEST(EncodeBack, WhatDiffersIsWritten) {
  const Value held = text("2026-03-01 12:34:56");
  const ReverseColumn column = column_of("DATETIME", {held});
  EXPECT_EQ(shown(encode_back(text("2026-03-01 12:34:57+00"), column, &held)),
            "text [\"2026-03-01 12:34:57\"]");
  const Value json = text("{\"a\":12345678901234567890}");
  EXPECT_EQ(shown(encode_back(text("{\"a\": 12345678901234567891}"), column_of("JSON", {json}), &json)),
            "text [\"{\\\"a\\\": 12345678901234567891}\"]")
      << "a double would take them for one";
}

TEST(EncodeBack, NumbersOfADocumentAreComparedExactly) {
  const Value held = text("{\"a\":[1e+22,\"1e22\",-2.50]}");
  EXPECT_EQ(shown(encode_back(text("{\"a\": [10000000000000000000000, \"1e22\", -2.5]}"),
                              column_of("JSON", {held}), &held)),
            shown(held));
  EXPECT_EQ(shown(encode_back(text("10000000000000000000000"), column_of("JSON", {Value(1e22)}))),
            shown(Value(1e22)))
      << "a number by itself, which the column's affinity makes a real";
}

TEST(EncodeBack, WhatTheLegacyCannotHoldIsRefused) {
  const auto refused = [](const std::string& declared, const std::vector<Value>& values,
                          const char* printed) {
    return shown(encode_back(text(printed), column_of(declared, values)));
  };
  EXPECT_EQ(refused("NUMERIC", {Value(1.5)}, "12345678901234567.89"), "<out_of_range>");
  EXPECT_EQ(refused("NUMERIC", {Value(1.5)}, "NaN"), "<out_of_range>");
  EXPECT_EQ(refused("REAL", {Value(1.5)}, "NaN"), "<out_of_range>");
  EXPECT_EQ(refused("DATETIME", {text("2026-03-01 12:00:00")}, "infinity"), "<out_of_range>");
  EXPECT_EQ(refused("DATETIME", {text("2026-03-01 12:00:00")}, "0044-03-15 12:00:00+00 BC"),
            "<out_of_range>");
  EXPECT_EQ(refused("DATETIME", {text("2026-03-01 12:00:00")}, "10000-01-01 00:00:00+00"), "<out_of_range>");
  EXPECT_EQ(refused("DATETIME", {Value(2461101.25)}, "2026-03-01 12:34:56.123456+00"), "<out_of_range>");
  EXPECT_EQ(refused("unknown_name", {text("a")}, "007"), "<wrong_class>") << "numeric affinity makes 7 of it";
}

TEST(EncodeBack, NullWhereTheLegacyAllowsNone) {
  ReverseColumn column = column_of("TEXT", {text("a")});
  column.not_null = true;
  EXPECT_EQ(shown(encode_back(Null{}, column)), "<null_key>");
}

TEST(ReversePlan, WhatCannotBeTurnedRoundBlocks) {
  SourceTable table;
  table.name = "t";
  table.columns = {{"id", "INTEGER", true, {}, "BINARY", {}, false},
                   {"c", "TEXT", false, {}, "BINARY", {}, false}};
  TablePlan plan = testing_support::plan("t", {testing_support::column("id", TargetType::bigint),
                                               testing_support::column("made", TargetType::text)});
  EXPECT_EQ(plan_back(plan, table).findings.at(0).code, "way-back-not-reversible");
  plan.columns[1] = testing_support::column("c", TargetType::text);
  plan.columns[1].existing_type = "boolean";
  EXPECT_EQ(plan_back(plan, table).findings.size(), 1u) << "which words stood for true is not known";
}

TEST(Meaning, OfAPostgresSourcesTextsIsThatOfTheirType) {
  struct Case {
    const char *type, *a, *b;
    bool same;
  };
  const Case cases[] = {{"integer", "007", "7", true},
                        {"integer", "7", "8", false},
                        {"numeric", "1.50", "1.5", true},
                        {"text", "1.50", "1.5", false},
                        {"double precision", "1e2", "100", true},
                        {"boolean", "1", "t", true},
                        {"boolean", "f", "t", false},
                        {"boolean", "x", "x y", false},
                        {"timestamp with time zone", "2026-01-02 03:04:05", "2026-01-02 03:04:05+00", true},
                        {"timestamp without time zone", "2026-01-02", "2026-01-02 00:00:00", true},
                        {"timestamp with time zone", "infinity", "2026-01-02 00:00:00+00", false},
                        {"jsonb", "{\"a\":1}", "{\"a\": 1}", true},
                        {"uuid", "A", "a", false},
                        {"integer[]", "{1,2}", "{1, 2}", false}};
  for (const Case& each : cases) {
    ColumnPlan column;
    column.type = TargetType::native;
    column.existing_type = each.type;
    EXPECT_EQ(same_meaning(each.a, each.b, column), each.same) << each.type << " " << each.a;
    EXPECT_EQ(means(Value(std::string(each.a)), each.b, column), each.same) << each.type << " " << each.a;
  }
}

}  // namespace
}  // namespace tidegate
