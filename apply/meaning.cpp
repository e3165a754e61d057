#include "apply/meaning.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <map>
#include <optional>
#include <string>

#include "apply/encode.hpp"
#include "apply/moment.hpp"
#include "proto/text.hpp"

namespace tidegate {
namespace {

namespace json = boost::json;

// 12, 12.0 and 1.2e1 are "0.12" and an exponent: digits without zeros at either end, and where the point
// stands.
struct Number {
  bool negative = false;
  std::string digits;
  long point = 0;
  bool operator==(const Number&) const = default;
};

std::optional<Number> number_in(std::string_view text) {
  if (!parse_decimal(text)) return std::nullopt;
  Number number;
  std::size_t at = text[0] == '-' || text[0] == '+' ? 1 : 0;
  number.negative = text[0] == '-';
  bool behind_point = false;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (text[at] == '.') {
      behind_point = true;
    } else {
      number.digits += text[at];
      if (!behind_point) ++number.point;
    }
  }
  if (at < text.size()) {
    at += text[at + 1] == '+' ? 2 : 1;
    long exponent = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), exponent);
    number.point += exponent;
  }
  const std::size_t first = number.digits.find_first_not_of('0');
  if (first == std::string::npos) return Number{};
  number.point -= static_cast<long>(first);
  number.digits = number.digits.substr(first, number.digits.find_last_not_of('0') - first + 1);
  return number;
}

bool same_number(std::string_view a, std::string_view b) {
  const auto one = number_in(a), other = number_in(b);
  return one && other && *one == *other;
}

bool same_double(std::string_view a, std::string_view b) {
  const auto read = [](std::string_view text) {
    double value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    return end.ec == std::errc() && end.ptr == text.data() + text.size() ? std::optional(value)
                                                                         : std::nullopt;
  };
  const auto one = read(a), other = read(b);
  return one && other && identical(Value(*one), Value(*other));
}

bool same_moment(std::string_view a, std::string_view b) {
  const auto one = moment_of(a), other = moment_of(b);
  return one && *one == other;
}

// The number as JSON that no document of the target can hold (it takes no character zero), spelled in one way
// for each value: a parsed number has the digits of a double only.
std::string exactly(std::string_view number) {
  const auto read = number_in(number).value_or(Number{});
  return R"({"\u0000":")" + std::string(read.negative ? "-" : "") + read.digits + "e" +
         std::to_string(read.point) + "\"}";
}

std::string with_exact_numbers(std::string_view text) {
  constexpr std::string_view of_numbers = "0123456789+-.eE";
  std::string exact;
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (!quoted && (c == '-' || (c >= '0' && c <= '9'))) {
      const std::size_t end = std::min(text.find_first_not_of(of_numbers, at), text.size());
      exact += exactly(text.substr(at, end - at));
      at = end - 1;
      continue;
    }
    if (c == '"') quoted = !quoted;
    exact += c;
    if (quoted && c == '\\' && at + 1 < text.size()) exact += text[++at];
  }
  return exact;
}

bool same_json(std::string_view a, std::string_view b) {
  json::parse_options options;
  options.max_depth = 1001;  // proto/json_text's own, and a number's
  json::error_code bad;
  const json::value one = json::parse(with_exact_numbers(a), bad, {}, options);
  if (bad) return false;
  const json::value other = json::parse(with_exact_numbers(b), bad, {}, options);
  return !bad && one == other;
}

// Of a Postgres source's columns, whose texts are what the type's name says.
TargetType meant_by(const std::string& type) {
  static const std::map<std::string_view, TargetType> types = {
      {"smallint", TargetType::numeric},
      {"integer", TargetType::numeric},
      {"bigint", TargetType::numeric},
      {"numeric", TargetType::numeric},
      {"real", TargetType::double_precision},
      {"double precision", TargetType::double_precision},
      {"boolean", TargetType::boolean},
      {"timestamp with time zone", TargetType::timestamptz},
      {"timestamp without time zone", TargetType::timestamptz},
      {"date", TargetType::date},
      {"time without time zone", TargetType::time},
      {"json", TargetType::jsonb},
      {"jsonb", TargetType::jsonb}};
  const auto known = types.find(type);
  return known == types.end() ? TargetType::native : known->second;
}

std::optional<bool> truth_in(std::string_view text) {
  if (text == "t" || text == "true" || text == "1") return true;
  if (text == "f" || text == "false" || text == "0") return false;
  return std::nullopt;
}

}  // namespace

bool same_meaning(std::string_view a, std::string_view b, const ColumnPlan& column) {
  if (a == b) return true;
  const bool native = column.type == TargetType::native;
  switch (native ? meant_by(column.existing_type) : column.type) {
    case TargetType::bigint:
    case TargetType::numeric:
      return same_number(a, b);
    case TargetType::double_precision:
      return same_double(a, b);
    case TargetType::timestamptz:
    case TargetType::date:
    case TargetType::time:
      return same_moment(a, b);
    case TargetType::jsonb:
      return same_json(a, b);
    case TargetType::boolean:
      return truth_in(a) && truth_in(a) == truth_in(b);
    case TargetType::text:
    case TargetType::varchar:
    case TargetType::bytea:
    case TargetType::native:
      break;
  }
  return false;
}

bool means(const Value& legacy, std::string_view target, const ColumnPlan& column) {
  std::string text;
  return encode(legacy, column, text).state == Encoded::State::value && same_meaning(text, target, column);
}

bool means_null(const Value& legacy, const ColumnPlan& column) {
  std::string text;
  return is_null(legacy) || encode(legacy, column, text).state == Encoded::State::null;
}

}  // namespace tidegate
