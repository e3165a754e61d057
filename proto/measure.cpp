// Called for every value of every table: no allocation, and each check only where the first characters allow
// it.
#include "proto/measure.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "proto/iso_time.hpp"
#include "proto/json_text.hpp"
#include "proto/text.hpp"

namespace tidegate {
namespace {

constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

unsigned digits_of(std::uint64_t number) {
  unsigned digits = 0;
  for (; number != 0; number /= 10) ++digits;
  return digits;
}

void add_digits(ColumnMeasure& into, unsigned integral, unsigned fraction) {
  into.max_integral_digits = std::max(into.max_integral_digits, integral);
  into.max_fraction_digits = std::max(into.max_fraction_digits, fraction);
}

void add(ColumnMeasure& into, const Null&) {
  ++into.nulls;
}

void add(ColumnMeasure& into, std::int64_t value) {
  into.min_integer = into.integers == 0 ? value : std::min(into.min_integer, value);
  into.max_integer = into.integers == 0 ? value : std::max(into.max_integer, value);
  ++into.integers;
  into.integers_0_or_1 += value == 0 || value == 1;
  const auto magnitude = static_cast<std::uint64_t>(value);
  add_digits(into, digits_of(value < 0 ? 0 - magnitude : magnitude), 0);
}

void add_digits_of_real(ColumnMeasure& into, double value, bool whole) {
  if (whole && std::fabs(value) < kExactIntegers) {
    return add_digits(into, digits_of(static_cast<std::uint64_t>(std::fabs(value))), 0);
  }
  std::array<char, 32> text;
  const auto end = std::to_chars(text.begin(), text.end(), value).ptr;
  const auto decimal = parse_decimal({text.data(), static_cast<std::size_t>(end - text.data())});
  if (decimal) add_digits(into, decimal->integral_digits, decimal->fraction_digits);
}

void add(ColumnMeasure& into, double value) {
  ++into.reals;
  if (!std::isfinite(value)) {
    ++into.infinite_reals;
    return;
  }
  const bool first = into.reals - into.infinite_reals == 1;
  into.min_real = first ? value : std::min(into.min_real, value);
  into.max_real = first ? value : std::max(into.max_real, value);
  const bool whole = std::trunc(value) == value;
  into.whole_reals += whole;
  add_digits_of_real(into, value, whole);
}

void add_number_or_time(ColumnMeasure& into, std::string_view text) {
  if (const auto decimal = parse_decimal(text)) {
    into.numeric_texts += is_plain_decimal(text);
    add_digits(into, decimal->integral_digits, decimal->fraction_digits);
  } else if (const auto time = parse_iso_time(text)) {
    into.iso_datetimes += time->has_date;
    into.iso_dates += time->has_date && !time->has_time;
    into.iso_times += !time->has_date;
  } else {
    into.zero_dates += is_zero_date(text);
  }
}

void add(ColumnMeasure& into, const std::string& text) {
  ++into.texts;
  const TextFacts facts = scan_text(text);
  into.max_text_length = std::max<std::uint64_t>(into.max_text_length, facts.characters);
  into.empty_texts += text.empty();
  into.texts_with_nul += facts.has_nul;
  into.texts_invalid_utf8 += !facts.valid_utf8;
  const char first = text.empty() ? '\0' : text[0];
  if ((first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.')
    add_number_or_time(into, text);
  into.invalid_json += !is_jsonb(text);
}

void add(ColumnMeasure& into, const Blob&) {
  ++into.blobs;
}

}  // namespace

void measure(ColumnMeasure& into, const Value& value) {
  std::visit([&](const auto& held) { add(into, held); }, value);
}

namespace {

// The smallest and the largest of both, where either counted any.
template <typename Number>
void unite_ends(Number& least, Number& most, bool any, Number other_least, Number other_most,
                bool other_any) {
  if (!other_any) return;
  least = any ? std::min(least, other_least) : other_least;
  most = any ? std::max(most, other_most) : other_most;
}

void unite(ColumnMeasure& into, const ColumnMeasure& other) {
  unite_ends(into.min_integer, into.max_integer, into.integers > 0, other.min_integer, other.max_integer,
             other.integers > 0);
  unite_ends(into.min_real, into.max_real, into.reals > into.infinite_reals, other.min_real, other.max_real,
             other.reals > other.infinite_reals);
  for (auto count : {&ColumnMeasure::nulls, &ColumnMeasure::integers, &ColumnMeasure::reals,
                     &ColumnMeasure::texts, &ColumnMeasure::blobs, &ColumnMeasure::integers_0_or_1,
                     &ColumnMeasure::whole_reals, &ColumnMeasure::infinite_reals, &ColumnMeasure::empty_texts,
                     &ColumnMeasure::texts_with_nul, &ColumnMeasure::texts_invalid_utf8,
                     &ColumnMeasure::numeric_texts, &ColumnMeasure::iso_datetimes, &ColumnMeasure::iso_dates,
                     &ColumnMeasure::iso_times, &ColumnMeasure::zero_dates, &ColumnMeasure::invalid_json})
    into.*count += other.*count;
  into.max_text_length = std::max(into.max_text_length, other.max_text_length);
  add_digits(into, other.max_integral_digits, other.max_fraction_digits);
}

}  // namespace

void unite(TableMeasure& into, const TableMeasure& other) {
  into.rows += other.rows;
  for (std::size_t i = 0; i < into.columns.size(); ++i) unite(into.columns[i], other.columns[i]);
}

}  // namespace tidegate
