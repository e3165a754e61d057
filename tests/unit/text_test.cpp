#include "proto/text.hpp"

#include <gtest/gtest.h>

#include "proto/iso_time.hpp"
#include "proto/json_text.hpp"

namespace tidegate {
namespace {

using namespace std::string_literals;

TEST(Text, CountsCharactersAndSeesNul) {
  EXPECT_EQ(scan_text("").characters, 0U);
  EXPECT_EQ(scan_text("plain ascii text").characters, 16U);
  EXPECT_EQ(scan_text("eight by \xc3\xa4 then twenty more \xf0\x9f\x8c\x8a").characters, 29U);
  EXPECT_FALSE(scan_text("0123456789").has_nul);
  for (std::size_t at = 0; at < 20; ++at) {
    std::string text(20, 'x');
    text[at] = '\0';
    EXPECT_TRUE(scan_text(text).has_nul) << at;
    EXPECT_EQ(scan_text(text).characters, 20U);
    EXPECT_TRUE(scan_text(text).valid_utf8);
  }
}

TEST(Text, Utf8IsAsPostgresHasIt) {
  for (const auto& good : {""s, "\x7f"s, "\xc2\x80"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s, "\xee\x80\x80"s,
                           "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good.size();
    EXPECT_TRUE(is_valid_utf8("12345" + good + "6789012"));
  }
  for (const auto& bad :
       {"\x80"s, "\xc0\x80"s, "\xc1\xbf"s, "\xc3"s, "\xc3("s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s,
        "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xff"s, "\xe2\x82"s}) {
    EXPECT_FALSE(is_valid_utf8(bad));
    EXPECT_FALSE(is_valid_utf8("1234567" + bad));
    EXPECT_FALSE(is_valid_utf8(bad + "12345678"));
  }
}

TEST(Text, WithoutBadBytesKeepsTheRest) {
  EXPECT_EQ(without_bad_bytes("a\0b\xff"
                              "c\xc3\xa4\xc3"s),
            "abc\xc3\xa4");
  EXPECT_EQ(first_characters("\xc3\xa4"
                             "bc",
                             2),
            "\xc3\xa4"
            "b");
  EXPECT_EQ(first_characters("ab", 5), "ab");
}

struct DecimalCase {
  const char* text;
  unsigned integral, fraction;
  char leading;
};

TEST(Text, DecimalsCountTheDigitsTheyNeed) {
  for (const auto& c :
       {DecimalCase{"0", 0, 0, '0'}, DecimalCase{"-12.50", 2, 1, '1'}, DecimalCase{"+007", 1, 0, '7'},
        DecimalCase{".5", 0, 1, '5'}, DecimalCase{"5.", 1, 0, '5'}, DecimalCase{"0.001", 0, 3, '1'},
        DecimalCase{"1e3", 4, 0, '1'}, DecimalCase{"1.25e-3", 0, 5, '1'}, DecimalCase{"1200", 4, 0, '1'},
        DecimalCase{"1e+22", 23, 0, '1'}, DecimalCase{"12.5E1", 3, 0, '1'}, DecimalCase{"0.0e99", 0, 0, '0'},
        DecimalCase{"1e99999999999999999999", 1000000, 0, '1'},
        DecimalCase{"1e-99999999999999999999", 0, 1000000, '1'}}) {
    const auto decimal = parse_decimal(c.text);
    ASSERT_TRUE(decimal) << c.text;
    EXPECT_EQ(decimal->integral_digits, c.integral) << c.text;
    EXPECT_EQ(decimal->fraction_digits, c.fraction) << c.text;
    EXPECT_EQ(decimal->leading_digit, c.leading) << c.text;
  }
}

TEST(Text, WhatIsNoDecimal) {
  for (const char* text :
       {"", ".", "-", "1.2.3", "1e", "1e+", "0x10", " 1", "1 ", "1,5", "--1", "e5", "nan", "1e5.0"}) {
    EXPECT_FALSE(parse_decimal(text)) << text;
  }
}

TEST(JsonText, TakesWhatTheStandardTakes) {
  for (const char* text :
       {"{}", "[]", " [1, 2.5e-3, -0, \"a\\u00e4\\n\", null, true, false] ", "{\"a\":{\"b\":[[],{}]}}",
        "\"x\"", "0", "-1.5E+10", "null", "\"\\ud83c\\udf0a\"", "{\"\":1,\"\":2}"}) {
    EXPECT_TRUE(is_json(text)) << text;
    EXPECT_TRUE(is_jsonb(text)) << text;
  }
}

TEST(JsonText, RefusesAllElse) {
  for (const auto& text :
       {""s,         " "s,      "{"s,          "[1,]"s,      "[,1]"s,     "{\"a\"}"s,
        "{\"a\":}"s, "{a:1}"s,  "{'a':1}"s,    "01"s,        "+1"s,       ".5"s,
        "1."s,       "1e"s,     "NaN"s,        "nul"s,       "nullx"s,    "[1] 2"s,
        "]"s,        "[}"s,     "{\"a\":1,}"s, "\"a"s,       "\"\\x\""s,  "\"\\u12\""s,
        "\"a\nb\""s, "\"\0\""s, "\"\\"s,       "[1]\0"s,     "\"\xff\""s, "\xef\xbb\xbf[]"s,
        "--1"s,      "tru"s,    "[1 2]"s,      "{\"a\" 1}"s, "{1:1}"s,    "// x"s,
        "True"s}) {
    EXPECT_FALSE(is_json(text)) << text;
    EXPECT_FALSE(is_jsonb(text)) << text;
  }
}

TEST(JsonText, JsonbIsStricter) {
  for (const char* text : {"\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800x\"",
                           "1e131073", "[1e-17000]", "{\"\\u0000\":1}"}) {
    EXPECT_TRUE(is_json(text)) << text;
    EXPECT_FALSE(is_jsonb(text)) << text;
  }
  EXPECT_TRUE(is_jsonb("1e131071"));
}

TEST(JsonText, DepthHasALimit) {
  EXPECT_TRUE(is_json(std::string(1000, '[') + std::string(1000, ']')));
  EXPECT_FALSE(is_json(std::string(1001, '[') + std::string(1001, ']')));
}

TEST(IsoTime, TakesTheFormsOfSqlalchemyAndSqlite) {
  for (const char* text :
       {"2024-02-29", "2024-02-29 12:34", "2024-02-29 12:34:56", "2024-02-29T12:34:56.123456",
        "2024-02-29 12:34:56.1Z", "2024-02-29 12:34:56+02:00", "2024-02-29T12:34:56-0530",
        "2024-02-29 12:34:56 +02", "2024-02-29 00:00 Z", "0001-01-01", "9999-12-31 23:59:59.999999"}) {
    const auto time = parse_iso_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_TRUE(time->has_date);
  }
  EXPECT_TRUE(parse_iso_time("2024-02-29 12:34Z")->has_zone);
  EXPECT_FALSE(parse_iso_time("2024-02-29")->has_time);
  EXPECT_FALSE(parse_iso_time("12:34")->has_date);
  EXPECT_EQ(parse_iso_time("12:34:56.120")->fraction_digits, 2U);
}

TEST(IsoTime, RefusesWhatIsNoMoment) {
  for (const char* text : {"",
                           "2023-02-29",
                           "2024-13-01",
                           "2024-00-10",
                           "2024-01-32",
                           "0000-01-01",
                           "0000-00-00",
                           "2024-1-1",
                           "24:00",
                           "12:60",
                           "12:34:60",
                           "12:34:56.",
                           "12:34Z",
                           "2024-01-01 ",
                           "2024-01-01T",
                           "2024-01-01 12",
                           "2024-01-01 12:34+",
                           "2024-01-01 12:34+16:00",
                           "2024-01-01 12:34+02:",
                           "2024-01-01 12:34:56x",
                           "20240101",
                           "12-34-5678",
                           "2024-01-01Z",
                           "+2024-01-01",
                           "now",
                           "2024-01-01 12:34 "}) {
    EXPECT_FALSE(parse_iso_time(text)) << text;
  }
  EXPECT_TRUE(is_zero_date("0000-00-00 00:00:00"));
  EXPECT_FALSE(is_zero_date("0000-00-01"));
}

}  // namespace
}  // namespace tidegate
