// Every row of the value table in facts/sqlite.md is a case here, where a single value shows it.
#include "apply/encode.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "apply/text_format.hpp"

namespace tidegate {
namespace {

using namespace std::string_literals;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value integer(std::int64_t value) {
  return value;
}
Value text(std::string value) {
  return value;
}
Value blob(std::string bytes) {
  return Blob{std::move(bytes)};
}

ColumnPlan column(TargetType type, int precision = 0, int scale = 0) {
  ColumnPlan plan;
  plan.source = plan.target = "c";
  plan.type = type;
  plan.precision = precision;
  plan.scale = scale;
  return plan;
}
ColumnPlan times(TimeForm form, TargetType type = TargetType::timestamptz) {
  ColumnPlan plan = column(type);
  plan.time_form = form;
  return plan;
}
ColumnPlan ruled(ColumnPlan plan, Misfit on, Remedy remedy) {
  plan.rules = {{on, remedy}};
  return plan;
}

// The text, or "NULL", or the misfit's name in angle brackets; and nothing is left behind but the text.
std::string shown(const Value& value, const ColumnPlan& plan) {
  std::string out = "before|";
  const Encoded encoded = encode(value, plan, out);
  EXPECT_EQ(out.substr(0, 7), "before|");
  if (encoded.state == Encoded::State::value) return out.substr(7);
  EXPECT_EQ(out, "before|");
  return encoded.state == Encoded::State::null ? "NULL" : "<" + std::string(name_of(encoded.misfit)) + ">";
}

struct Case {
  Value value;
  std::string expected;
};

void expect_all(const ColumnPlan& plan, const std::vector<Case>& cases) {
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(shown(cases[i].value, plan), cases[i].expected) << sql_type(plan) << ", case " << i;
  }
}

TEST(Encode, Boolean) {
  expect_all(column(TargetType::boolean), {{integer(0), "f"},
                                           {integer(1), "t"},
                                           {Null{}, "NULL"},
                                           {integer(2), "<not_a_boolean>"},
                                           {integer(-1), "<not_a_boolean>"},
                                           {Value(1.0), "<not_a_boolean>"},
                                           {text("yes"), "<not_a_boolean>"},
                                           {text(""), "<not_a_boolean>"},
                                           {blob("1"), "<wrong_class>"}});
}

TEST(Encode, BooleanByRule) {
  expect_all(ruled(column(TargetType::boolean), Misfit::not_a_boolean, Remedy::convert),
             {{integer(2), "t"},
              {text("YES"), "t"},
              {text("off"), "f"},
              {Value(0.0), "f"},
              {text("maybe"), "<not_a_boolean>"},
              {text(""), "<not_a_boolean>"}});
  expect_all(ruled(column(TargetType::boolean), Misfit::not_a_boolean, Remedy::null),
             {{integer(2), "NULL"}, {text(""), "NULL"}, {blob("x"), "<wrong_class>"}});
  expect_all(ruled(column(TargetType::boolean), Misfit::empty, Remedy::null), {{text(""), "NULL"}});
}

TEST(Encode, Bigint) {
  expect_all(column(TargetType::bigint),
             {{integer(std::numeric_limits<std::int64_t>::max()), "9223372036854775807"},
              {integer(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808"},
              {integer(3'000'000'000), "3000000000"},
              {Value(2.0), "2"},
              {Value(-0.0), "0"},
              {Value(2.5), "<not_a_number>"},
              {Value(1e19), "<out_of_range>"},
              {Value(9223372036854775808.0), "<out_of_range>"},
              {Value(kInfinity), "<out_of_range>"},
              {text("abc"), "<not_a_number>"},
              {text("12"), "<not_a_number>"},
              {text(""), "<empty>"},
              {blob("12"), "<wrong_class>"}});
  expect_all(ruled(column(TargetType::bigint), Misfit::not_a_number, Remedy::convert),
             {{text("12"), "12"},
              {text("+9223372036854775807"), "9223372036854775807"},
              {text("-2.9e1"), "-29"},
              {Value(-2.5), "-2"},
              {text("abc"), "<not_a_number>"},
              {text("1e30"), "<not_a_number>"}});
}

TEST(Encode, DoublePrecision) {
  expect_all(column(TargetType::double_precision),
             {{Value(0.1), "0.1"},
              {Value(-0.0), "-0"},
              {Value(1.0 / 3), "0.3333333333333333"},
              {Value(1e300), "1e+300"},
              {Value(kInfinity), "Infinity"},
              {Value(-kInfinity), "-Infinity"},
              {integer(7), "7"},
              {integer(9007199254740993), "<out_of_range>"},
              {integer(std::numeric_limits<std::int64_t>::max()), "<out_of_range>"},
              {integer(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808"},
              {text("1.5"), "<not_a_number>"},
              {text(""), "<empty>"},
              {blob(""), "<wrong_class>"}});
  expect_all(ruled(column(TargetType::double_precision), Misfit::not_a_number, Remedy::convert),
             {{text("+1.50"), "1.5"}, {text("1e999"), "<not_a_number>"}});
}

TEST(Encode, NumericIsNeverRoundedSilently) {
  expect_all(column(TargetType::numeric, 10, 2), {{integer(12345678), "12345678"},
                                                  {integer(123456789), "<out_of_range>"},
                                                  {Value(12.25), "12.25"},
                                                  {Value(12.255), "<out_of_range>"},
                                                  {Value(1e22), "<out_of_range>"},
                                                  {Value(kInfinity), "<out_of_range>"},
                                                  {text("12.500"), "12.500"},
                                                  {text("x"), "<not_a_number>"},
                                                  {text(""), "<empty>"},
                                                  {blob("1"), "<wrong_class>"}});
  expect_all(column(TargetType::numeric), {{Value(12.255), "12.255"},
                                           {Value(1e22), "1e+22"},
                                           {Value(kInfinity), "Infinity"},
                                           {text("-0.50"), "-0.50"},
                                           {text("0.0"), "0.0"},
                                           {text("-0"), "<not_a_number>"},
                                           {text("-0.00"), "<not_a_number>"},
                                           {text("007"), "<not_a_number>"},
                                           {text("1e3"), "<not_a_number>"},
                                           {text("1e200000"), "<not_a_number>"}});
  expect_all(
      ruled(column(TargetType::numeric, 4, 2), Misfit::out_of_range, Remedy::convert),
      {{Value(12.255), "12.255"}, {Value(99.999), "<out_of_range>"}, {Value(123.0), "<out_of_range>"}});
}

TEST(Encode, Text) {
  expect_all(column(TargetType::text), {{text("a\tb"), "a\tb"},
                                        {text(""), ""},
                                        {text("a\0b"s), "<nul>"},
                                        {text("\xff"), "<invalid_utf8>"},
                                        {integer(-5), "-5"},
                                        {Value(2.0), "2.0"},
                                        {Value(0.1), "0.1"},
                                        {Value(1e300), "1e+300"},
                                        {blob("abc"), "<wrong_class>"}});
  expect_all(ruled(column(TargetType::text), Misfit::nul, Remedy::strip),
             {{text("a\0b"s), "ab"}, {text("\xff"), "<invalid_utf8>"}});
  expect_all(ruled(column(TargetType::text), Misfit::invalid_utf8, Remedy::strip), {{text("a\xff"
                                                                                          "b"),
                                                                                     "ab"}});
}

TEST(Encode, VarcharCountsCharacters) {
  expect_all(column(TargetType::varchar, 3), {{text("\xc3\xa4\xc3\xb6\xc3\xbc"), "\xc3\xa4\xc3\xb6\xc3\xbc"},
                                              {text("abcd"), "<too_long>"},
                                              {text("abc "), "<too_long>"},
                                              {integer(1234), "<too_long>"}});
  expect_all(ruled(column(TargetType::varchar, 3), Misfit::too_long, Remedy::convert), {{text("\xc3\xa4"
                                                                                              "bcd"),
                                                                                         "\xc3\xa4"
                                                                                         "bc"}});
  ColumnPlan both = column(TargetType::varchar, 3);
  both.rules = {{Misfit::nul, Remedy::strip}, {Misfit::too_long, Remedy::null}};
  expect_all(both, {{text("a\0bc"s), "abc"}, {text("a\0bcd"s), "NULL"}});
}

TEST(Encode, ByteaTakesBytesAsTheyAre) {
  expect_all(column(TargetType::bytea), {{blob("\x00\xff\x10"s), "\\x00ff10"},
                                         {blob(""), "\\x"},
                                         {text("YQ=="), "\\x59513d3d"},
                                         {integer(1), "<wrong_class>"}});
}

TEST(Encode, TimestampsFromText) {
  expect_all(times(TimeForm::iso_text),
             {{text("2024-01-02 03:04:05.678901"), "2024-01-02 03:04:05.678901+00"},
              {text("2024-01-02T03:04:05Z"), "2024-01-02T03:04:05Z"},
              {text("2024-01-02 03:04:05+02:00"), "2024-01-02 03:04:05+02:00"},
              {text("2024-01-02"), "2024-01-02 00:00:00+00"},
              {text("2024-01-02 03:04:05.1234567"), "<out_of_range>"},
              {text("2024-01-02 03:04:05.1234560"), "2024-01-02 03:04:05.1234560+00"},
              {text(""), "<empty>"},
              {text("0000-00-00 00:00:00"), "<zero_date>"},
              {text("2023-02-29"), "<not_a_time>"},
              {text("12:34"), "<not_a_time>"},
              {text("soon"), "<not_a_time>"},
              {integer(1700000000), "<epoch>"},
              {integer(1700000000000), "<epoch>"},
              {Value(2460000.5), "<julian>"},
              {integer(42), "<not_a_time>"},
              {Value(kInfinity), "<not_a_time>"},
              {blob("x"), "<wrong_class>"}});
}

TEST(Encode, TimestampsFromNumbers) {
  expect_all(times(TimeForm::epoch_seconds), {{integer(1700000000), "2023-11-14 22:13:20+00"},
                                              {Value(1700000000.25), "2023-11-14 22:13:20.250000+00"},
                                              {integer(-1), "1969-12-31 23:59:59+00"},
                                              {Value(-0.5), "1969-12-31 23:59:59.500000+00"},
                                              {integer(253402300800), "<out_of_range>"},
                                              {text("2024-01-02 03:04"), "2024-01-02 03:04+00"}});
  expect_all(times(TimeForm::epoch_milliseconds), {{integer(1700000000123), "2023-11-14 22:13:20.123000+00"},
                                                   {integer(-62135596800000), "0001-01-01 00:00:00+00"}});
  expect_all(times(TimeForm::julian_day), {{Value(2440587.5), "1970-01-01 00:00:00+00"},
                                           {integer(2460000), "2023-02-24 12:00:00+00"},
                                           {Value(2460258.426), "2023-11-09 22:13:26.400000+00"}});
  expect_all(times(TimeForm::epoch_seconds, TargetType::date),
             {{integer(86400), "1970-01-02"}, {integer(86401), "<not_a_time>"}});
}

TEST(Encode, TimesByRule) {
  const auto plain = times(TimeForm::iso_text);
  expect_all(ruled(plain, Misfit::zero_date, Remedy::null),
             {{text("0000-00-00"), "NULL"}, {text(""), "<empty>"}});
  expect_all(ruled(plain, Misfit::empty, Remedy::null), {{text(""), "NULL"}});
  expect_all(ruled(plain, Misfit::epoch, Remedy::convert),
             {{integer(1700000000), "2023-11-14 22:13:20+00"},
              {integer(1700000000000), "2023-11-14 22:13:20+00"},
              {integer(0), "1970-01-01 00:00:00+00"},
              {Value(2460000.5), "<julian>"}});
  expect_all(ruled(plain, Misfit::julian, Remedy::convert), {{Value(2460000.5), "2023-02-25 00:00:00+00"}});
  expect_all(ruled(plain, Misfit::out_of_range, Remedy::convert),
             {{text("2024-01-02 03:04:05.123456789+02:00"), "2024-01-02 03:04:05.123456+02:00"}});
  ColumnPlan required = ruled(plain, Misfit::empty, Remedy::null);
  required.not_null = true;
  expect_all(required, {{text(""), "<empty>"}});
}

TEST(Encode, DatesAndTimesOfDay) {
  expect_all(times(TimeForm::iso_text, TargetType::date), {{text("2024-01-02"), "2024-01-02"},
                                                           {text("2024-01-02 00:00:00.000000"), "2024-01-02"},
                                                           {text("2024-01-02 03:04"), "<not_a_time>"},
                                                           {text("0000-00-00"), "<zero_date>"},
                                                           {text(""), "<empty>"},
                                                           {integer(1700000000), "<epoch>"}});
  expect_all(ruled(times(TimeForm::iso_text, TargetType::date), Misfit::not_a_time, Remedy::convert),
             {{text("2024-01-02 03:04"), "2024-01-02"}});
  expect_all(times(TimeForm::iso_text, TargetType::time), {{text("03:04"), "03:04"},
                                                           {text("03:04:05.678901"), "03:04:05.678901"},
                                                           {text("2024-01-02 03:04"), "<not_a_time>"},
                                                           {integer(100), "<not_a_time>"}});
}

TEST(Encode, Jsonb) {
  expect_all(column(TargetType::jsonb), {{text("{\"a\": [1, null]}"), "{\"a\": [1, null]}"},
                                         {integer(12), "12"},
                                         {Value(1.5), "1.5"},
                                         {text("{'a':1}"), "<invalid_json>"},
                                         {text("\"\\u0000\""), "<invalid_json>"},
                                         {text("\"\\ud800\""), "<invalid_json>"},
                                         {text("\"\xff\""), "<invalid_json>"},
                                         {text(""), "<empty>"},
                                         {Value(kInfinity), "<invalid_json>"},
                                         {blob("{}"), "<wrong_class>"}});
  expect_all(ruled(column(TargetType::jsonb), Misfit::invalid_json, Remedy::text),
             {{text("say \"hi\"\n\\"), "\"say \\\"hi\\\"\\u000a\\\\\""},
              {text("a\0"s), "<invalid_json>"},
              {text(""), "\"\""}});
}

TEST(Encode, NullInAKeyIsAMisfit) {
  ColumnPlan key = column(TargetType::bigint);
  key.not_null = true;
  expect_all(key, {{Null{}, "<null_key>"}});
}

std::string copied(const Value& value, TargetType type) {
  std::string line = "x\t";
  encode_copy_field(value, column(type), line);
  return line;
}

TEST(CopyFormat, EscapesFieldsInPlace) {
  EXPECT_EQ(copied(text("a\tb\nc\\d\re"), TargetType::text), "x\ta\\tb\\nc\\\\d\\re");
  EXPECT_EQ(copied(text("\\N"), TargetType::text), "x\t\\\\N");
  EXPECT_EQ(copied(text("plain"), TargetType::text), "x\tplain");
  EXPECT_EQ(copied(Null{}, TargetType::text), "x\t\\N");
  EXPECT_EQ(copied(blob("\xff"), TargetType::bytea), "x\t\\\\xff");
  EXPECT_EQ(copied(integer(5), TargetType::bigint), "x\t5");
  EXPECT_EQ(copied(text("x"), TargetType::bigint), "x\t");
}

TEST(CopyFormat, EscapesAnyText) {
  std::string line = "1\t";
  copy_escape("a\vb\fc\bd\\.", line);
  EXPECT_EQ(line, "1\ta\\vb\\fc\\bd\\\\.");
}

TEST(ArrayLiteral, QuotesElements) {
  std::string literal = "{";
  append_array_element("a\"b\\c", literal);
  literal += ',';
  append_array_null(literal);
  literal += ',';
  encode_array_element(text("NULL"), column(TargetType::text), literal);
  literal += ',';
  encode_array_element(Null{}, column(TargetType::text), literal);
  literal += ',';
  encode_array_element(blob("\x01"), column(TargetType::bytea), literal);
  EXPECT_EQ(literal, R"({"a\"b\\c",NULL,"NULL",NULL,"\\x01")");
  encode_array_element(text("x"), column(TargetType::bigint), literal);
  EXPECT_EQ(literal, R"({"a\"b\\c",NULL,"NULL",NULL,"\\x01")");
}

}  // namespace
}  // namespace tidegate
