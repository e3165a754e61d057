#include <gtest/gtest.h>

#include <limits>
#include <tuple>

#include "proto/measure.hpp"

namespace tidegate {
namespace {

ColumnMeasure measured(const Row& values) {
  ColumnMeasure into;
  for (const Value& value : values) measure(into, value);
  return into;
}

Value integer(std::int64_t value) {
  return value;
}
Value text(std::string value) {
  return value;
}

TEST(Measure, CountsStorageClasses) {
  const auto m = measured({Null{}, integer(1), Value(1.5), text("x"), Blob{"x"}, Null{}});
  EXPECT_EQ(m.nulls, 2U);
  EXPECT_EQ(m.integers, 1U);
  EXPECT_EQ(m.reals, 1U);
  EXPECT_EQ(m.texts, 1U);
  EXPECT_EQ(m.blobs, 1U);
}

TEST(Measure, IntegersKeepTheirRange) {
  const auto m = measured({integer(5), integer(-7), integer(0), integer(1)});
  EXPECT_EQ(m.min_integer, -7);
  EXPECT_EQ(m.max_integer, 5);
  EXPECT_EQ(m.integers_0_or_1, 2U);
  EXPECT_EQ(m.max_integral_digits, 1U);
  EXPECT_EQ(measured({integer(100)}).min_integer, 100);
  EXPECT_EQ(measured({integer(std::numeric_limits<std::int64_t>::min())}).max_integral_digits, 19U);
}

TEST(Measure, RealsKeepRangeAndDigits) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto m = measured({Value(infinity), Value(12.25), Value(-3.0), Value(-infinity)});
  EXPECT_EQ(m.infinite_reals, 2U);
  EXPECT_EQ(m.whole_reals, 1U);
  EXPECT_EQ(m.min_real, -3.0);
  EXPECT_EQ(m.max_real, 12.25);
  EXPECT_EQ(m.max_integral_digits, 2U);
  EXPECT_EQ(m.max_fraction_digits, 2U);
  EXPECT_EQ(measured({Value(1e22)}).max_integral_digits, 23U);
  EXPECT_EQ(measured({Value(0.1)}).max_fraction_digits, 1U);
}

TEST(Measure, TextsAreKnownByTheirShape) {
  using namespace std::string_literals;
  const auto m = measured({text(""), text("a\0b"s), text("\xff"), text("12.5"), text("2024-01-02"),
                           text("2024-01-02 03:04:05"), text("03:04"), text("0000-00-00"), text("{\"a\":1}"),
                           text("\xc3\xa4\xc3\xb6")});
  EXPECT_EQ(m.texts, 10U);
  EXPECT_EQ(m.empty_texts, 1U);
  EXPECT_EQ(m.texts_with_nul, 1U);
  EXPECT_EQ(m.texts_invalid_utf8, 1U);
  EXPECT_EQ(m.numeric_texts, 1U);
  EXPECT_EQ(m.iso_datetimes, 2U);
  EXPECT_EQ(m.iso_dates, 1U);
  EXPECT_EQ(m.iso_times, 1U);
  EXPECT_EQ(m.zero_dates, 1U);
  EXPECT_EQ(m.max_text_length, 19U);
  EXPECT_EQ(m.invalid_json, 8U) << "all but the number and the object";
}

TEST(Measure, OnlyPlainNumbersAreNumericTexts) {
  for (const char* spelled : {"007", "+1", "1e3", ".5", "5.", "-0", "-0.00", "00", "1.2.3"}) {
    EXPECT_EQ(measured({text(spelled)}).numeric_texts, 0U) << spelled;
  }
  for (const char* plain : {"0", "0.50", "7", "-7.25", "-0.1", "12345678901234567890.5"}) {
    EXPECT_EQ(measured({text(plain)}).numeric_texts, 1U) << plain;
  }
}

TEST(Table, ColumnIsFoundByItsExactName) {
  SourceTable table;
  table.columns.resize(2);
  table.columns[0].name = "a";
  table.columns[1].name = "B";
  EXPECT_EQ(table.column("B"), &table.columns[1]);
  EXPECT_EQ(table.column("b"), nullptr);
}

bool same(const ColumnMeasure& a, const ColumnMeasure& b) {
  const auto fields = [](const ColumnMeasure& m) {
    return std::tuple(
        std::tuple(m.nulls, m.integers, m.reals, m.texts, m.blobs, m.min_integer, m.max_integer),
        std::tuple(m.integers_0_or_1, m.whole_reals, m.min_real, m.max_real, m.infinite_reals),
        std::tuple(m.max_text_length, m.empty_texts, m.texts_with_nul, m.texts_invalid_utf8),
        std::tuple(m.numeric_texts, m.iso_datetimes, m.iso_dates, m.iso_times, m.zero_dates),
        std::tuple(m.invalid_json, m.max_integral_digits, m.max_fraction_digits));
  };
  return fields(a) == fields(b);
}

// However the rows are divided.
TEST(Measure, PartsMakeTheWhole) {
  const Row values{Null{},
                   integer(-5),
                   integer(1),
                   integer(70000),
                   Value(-2.5),
                   Value(1e9),
                   text("12.5"),
                   text(""),
                   text("{\"a"),
                   Blob{"x"},
                   text("2024-01-31"),
                   text("longer"),
                   integer(0),
                   Value(0.125),
                   text("10:11"),
                   text("0000-00-00"),
                   text(std::string("\0", 1)),
                   Value(std::numeric_limits<double>::infinity()),
                   text("\xff"),
                   text("2024-01-31 10:11")};
  const ColumnMeasure all = measured(values);
  for (std::size_t cut = 0; cut <= values.size(); ++cut) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(cut);
    TableMeasure one{cut, {measured({values.begin(), middle})}};
    unite(one, {values.size() - cut, {measured({middle, values.end()})}});
    EXPECT_EQ(one.rows, values.size());
    EXPECT_TRUE(same(one.columns.at(0), all)) << "cut at " << cut;
  }
}

}  // namespace
}  // namespace tidegate
