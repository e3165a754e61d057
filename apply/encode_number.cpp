#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "apply/encode_parts.hpp"
#include "proto/text.hpp"

namespace tidegate::encoding {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr unsigned kMostIntegralDigits = 131072;  // of Postgres' numeric
constexpr unsigned kMostFractionDigits = 16383;

bool is_whole_bigint(double value) {
  return std::trunc(value) == value && value >= -kTwoTo63 && value < kTwoTo63;
}

bool has_room(std::int64_t integer, const ColumnPlan& column) {
  if (column.precision == 0) return true;
  const std::int64_t limit = std::int64_t{1} << (column.precision - 1);
  return integer >= -limit && integer < limit;
}

// What a numeric column holds of a number: all of it, all but digits behind the scale, or not its magnitude.
enum class Fit { whole, rounded, too_big };

Fit fit(const Decimal& number, const ColumnPlan& column) {
  const bool bounded = column.precision > 0;
  const auto integral =
      bounded ? static_cast<unsigned>(std::max(column.precision - column.scale, 0)) : kMostIntegralDigits;
  const auto fraction = bounded ? static_cast<unsigned>(column.scale) : kMostFractionDigits;
  if (number.integral_digits > integral) return Fit::too_big;
  if (number.fraction_digits <= fraction) return Fit::whole;
  // Rounding 9.99 up may need one more digit before the point.
  const bool may_carry = number.integral_digits == integral && (number.leading_digit == '9' || integral == 0);
  return may_carry ? Fit::too_big : Fit::rounded;
}

// The decimal text of a number or of a text that is one; empty for others.
std::string_view decimal_text(const Value& value, std::array<char, 32>& room) {
  const auto print = [&](auto number) {
    const auto end = std::to_chars(room.begin(), room.end(), number).ptr;
    return std::string_view(room.data(), static_cast<std::size_t>(end - room.data()));
  };
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return print(*integer);
  if (const auto* real = std::get_if<double>(&value))
    return std::isfinite(*real) ? print(*real) : std::string_view();
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return {};
}

Refusal not_a_number(const Value& value) {
  if (std::holds_alternative<Blob>(value)) return Misfit::wrong_class;
  const auto* text = std::get_if<std::string>(&value);
  return text && text->empty() ? Misfit::empty : Misfit::not_a_number;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return equals_ignoring_case(text, word); });
}

}  // namespace

void append_integer(std::int64_t value, std::string& out) {
  std::array<char, 24> room;
  out.append(room.data(), std::to_chars(room.begin(), room.end(), value).ptr);
}

void append_real(double value, std::string& out) {
  if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
    return;
  }
  std::array<char, 32> room;
  out.append(room.data(), std::to_chars(room.begin(), room.end(), value).ptr);
}

Refusal write_bigint(const Value& value, const ColumnPlan& column, std::string& out) {
  const auto write = [&](std::int64_t integer) -> Refusal {
    if (!has_room(integer, column)) return Misfit::out_of_range;
    return append_integer(integer, out), std::nullopt;
  };
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return write(*integer);
  const auto* real = std::get_if<double>(&value);
  if (!real) return not_a_number(value);
  if (is_whole_bigint(*real)) return write(static_cast<std::int64_t>(*real));
  return std::trunc(*real) == *real ? Misfit::out_of_range : Misfit::not_a_number;
}

Refusal write_double(const Value& value, std::string& out) {
  const auto* real = std::get_if<double>(&value);
  if (real && !std::isnan(*real)) return append_real(*real, out), std::nullopt;
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (!integer) return not_a_number(value);
  const auto as_real = static_cast<double>(*integer);
  if (as_real == kTwoTo63 || static_cast<std::int64_t>(as_real) != *integer) return Misfit::out_of_range;
  append_integer(*integer, out);
  return std::nullopt;
}

Refusal write_numeric(const Value& value, const ColumnPlan& column, std::string& out) {
  const auto* real = std::get_if<double>(&value);
  if (real && !std::isfinite(*real)) {
    if (std::isnan(*real) || column.precision > 0) return Misfit::out_of_range;
    return append_real(*real, out), std::nullopt;
  }
  std::array<char, 32> room;
  const std::string_view text = decimal_text(value, room);
  const auto number = parse_decimal(text);
  if (!number || (std::holds_alternative<std::string>(value) && !is_plain_decimal(text)))
    return not_a_number(value);
  if (fit(*number, column) != Fit::whole) return Misfit::out_of_range;
  out += text;
  return std::nullopt;
}

Refusal write_boolean(const Value& value, std::string& out) {
  if (std::holds_alternative<Blob>(value)) return Misfit::wrong_class;
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (!integer || (*integer != 0 && *integer != 1)) return Misfit::not_a_boolean;
  out += *integer == 1 ? 't' : 'f';
  return std::nullopt;
}

bool convert_to_bigint(const Value& value, std::string& out) {
  double number = 0;
  if (const auto* text = std::get_if<std::string>(&value)) {
    std::string_view digits = *text;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    std::int64_t integer = 0;
    const auto whole = std::from_chars(digits.data(), digits.data() + digits.size(), integer);
    if (whole.ec == std::errc() && whole.ptr == digits.data() + digits.size())
      return append_integer(integer, out), true;
    if (!parse_decimal(*text)) return false;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc()) return false;
  } else if (const auto* real = std::get_if<double>(&value)) {
    number = *real;
  } else {
    return false;
  }
  if (!is_whole_bigint(std::trunc(number))) return false;
  append_integer(static_cast<std::int64_t>(number), out);
  return true;
}

bool convert_to_double(const Value& value, std::string& out) {
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    return append_real(static_cast<double>(*integer), out), true;
  const auto* text = std::get_if<std::string>(&value);
  if (!text || !parse_decimal(*text)) return false;
  const std::size_t sign = text->starts_with('+') ? 1 : 0;
  double number = 0;
  const auto read = std::from_chars(text->data() + sign, text->data() + text->size(), number);
  if (read.ec != std::errc()) return false;  // beyond a double's range
  append_real(number, out);
  return true;
}

bool convert_to_numeric(const Value& value, const ColumnPlan& column, std::string& out) {
  std::array<char, 32> room;
  const std::string_view text = decimal_text(value, room);
  const auto number = parse_decimal(text);
  if (!number || fit(*number, column) == Fit::too_big) return false;
  out += text;  // the server rounds it
  return true;
}

bool convert_to_boolean(const Value& value, std::string& out) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    const bool yes = is_one_of(*text, {"true", "t", "yes", "y", "on", "1"});
    if (!yes && !is_one_of(*text, {"false", "f", "no", "n", "off", "0"})) return false;
    out += yes ? 't' : 'f';
    return true;
  }
  const auto* integer = std::get_if<std::int64_t>(&value);
  const auto* real = std::get_if<double>(&value);
  if (!integer && !real) return false;
  out += (integer ? *integer != 0 : *real != 0) ? 't' : 'f';
  return true;
}

}  // namespace tidegate::encoding
