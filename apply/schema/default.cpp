// translate_default: literals through the value encoder, and the ways to say "now".
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "apply/encode.hpp"
#include "apply/schema/declared_type.hpp"
#include "apply/schema/expression.hpp"
#include "apply/schema/tokens.hpp"
#include "proto/text.hpp"

namespace tidegate {
namespace {

using Tokens = std::vector<Token>;

// Without the brackets around the whole.
Tokens unwrapped(Tokens tokens) {
  tokens.pop_back();  // the end
  while (tokens.size() >= 3 && tokens.front().is_symbol("(") && tokens.back().is_symbol(")")) {
    int depth = 0;
    const auto closes = std::find_if(tokens.begin(), tokens.end(), [&](const Token& t) {
      depth += t.is_symbol("(") ? 1 : t.is_symbol(")") ? -1 : 0;
      return depth == 0;
    });
    if (closes + 1 != tokens.end()) break;
    tokens.erase(tokens.begin());
    tokens.pop_back();
  }
  return tokens;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<Value> blob_of(const std::string& hex) {
  Blob blob;
  if (hex.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    blob.bytes += static_cast<char>(high * 16 + low);
  }
  return blob;
}

// A number as SQLite reads it: an integer where it has neither point nor exponent and fits, else a real.
std::optional<Value> number_of(const std::string& text, bool negative) {
  const std::string signed_text = (negative ? "-" : "") + text;
  if (!parse_decimal(text)) return std::nullopt;
  const char* const end = signed_text.data() + signed_text.size();
  std::int64_t integer = 0;
  const auto whole = std::from_chars(signed_text.data(), end, integer);
  if (whole.ec == std::errc() && whole.ptr == end) return integer;
  double real = 0;
  if (std::from_chars(signed_text.data(), end, real).ec != std::errc()) return std::nullopt;
  return real;
}

std::optional<Value> literal_of(const Tokens& tokens) {
  if (tokens.size() == 2 && tokens[1].kind == Token::Kind::number &&
      (tokens[0].is_symbol("-") || tokens[0].is_symbol("+"))) {
    return number_of(tokens[1].text, tokens[0].is_symbol("-"));
  }
  if (tokens.size() != 1) return std::nullopt;
  const Token& token = tokens[0];
  switch (token.kind) {
    case Token::Kind::text:
    case Token::Kind::double_quoted:
      return Value(token.text);
    case Token::Kind::blob:
      return blob_of(token.text);
    case Token::Kind::number:
      return number_of(token.text, false);
    default:
      break;
  }
  if (token.is_word("null")) return Value(Null{});
  if (token.is_word("true")) return Value(std::int64_t{1});
  if (token.is_word("false")) return Value(std::int64_t{0});
  return std::nullopt;
}

Translated as_literal(const Value& value, const ColumnPlan& column) {
  if (is_null(value)) return {"NULL", {}, false};
  std::string text;
  switch (encode(value, column, text).state) {
    case Encoded::State::null:
      return {"NULL", {}, false};
    case Encoded::State::misfit:
      return {{}, "a default that does not fit the column's type", false};
    case Encoded::State::value:
      break;
  }
  if (column.type == TargetType::boolean) return {text == "t" ? "true" : "false", {}, false};
  const bool bare = column.type == TargetType::bigint;
  return {bare ? text : quoted_literal(text), {}, false};
}

enum class Moment { timestamp, seconds, julian_day, date, time };

struct NamedMoment {
  std::string_view words;  // in lower case outside of texts, without blanks
  Moment moment;
};

constexpr std::array kMoments = std::to_array<NamedMoment>({
    {"current_timestamp", Moment::timestamp},
    {"datetime('now')", Moment::timestamp},
    {"datetime()", Moment::timestamp},
    {"now()", Moment::timestamp},
    {"strftime('%Y-%m-%d %H:%M:%S','now')", Moment::timestamp},
    {"strftime('%Y-%m-%d %H:%M:%f','now')", Moment::timestamp},
    {"strftime('%Y-%m-%dT%H:%M:%S','now')", Moment::timestamp},
    {"strftime('%Y-%m-%dT%H:%M:%f','now')", Moment::timestamp},
    {"strftime('%Y-%m-%dT%H:%M:%SZ','now')", Moment::timestamp},
    {"strftime('%Y-%m-%dT%H:%M:%fZ','now')", Moment::timestamp},
    {"strftime('%s','now')", Moment::seconds},
    {"cast(strftime('%s','now')asinteger)", Moment::seconds},
    {"cast(strftime('%s','now')asint)", Moment::seconds},
    {"unixepoch()", Moment::seconds},
    {"unixepoch('now')", Moment::seconds},
    {"julianday('now')", Moment::julian_day},
    {"julianday()", Moment::julian_day},
    {"current_date", Moment::date},
    {"date('now')", Moment::date},
    {"date()", Moment::date},
    {"current_time", Moment::time},
    {"time('now')", Moment::time},
    {"time()", Moment::time},
});

std::optional<Moment> moment_of(const Tokens& tokens) {
  std::string words;
  for (const Token& token : tokens) {
    words += token.kind == Token::Kind::text ? quoted_literal(token.text) : ascii_lower(token.text);
  }
  const auto* found =
      std::find_if(kMoments.begin(), kMoments.end(), [&](const NamedMoment& m) { return m.words == words; });
  return found == kMoments.end() ? std::nullopt : std::optional(found->moment);
}

// "" where the column's type holds no such moment. SQLite's now is UTC, whatever the target's session has.
std::string now_in(const ColumnPlan& column, Moment moment) {
  switch (column.type) {
    case TargetType::timestamptz:
      return moment == Moment::time   ? ""
             : moment == Moment::date ? "date_trunc('day', now(), 'UTC')"
                                      : "now()";
    case TargetType::date:
      return moment == Moment::date ? "(now() AT TIME ZONE 'UTC')::date" : "";
    case TargetType::time:
      return moment == Moment::time ? "(now() AT TIME ZONE 'UTC')::time(0)" : "";
    case TargetType::bigint:
      return moment == Moment::seconds ? "floor(extract(epoch FROM now()))::bigint" : "";
    case TargetType::text:
    case TargetType::varchar:
      break;
    default:
      return "";
  }
  const std::string start = "to_char(now() AT TIME ZONE 'UTC', '";
  if (moment == Moment::timestamp) return start + "YYYY-MM-DD HH24:MI:SS')";
  if (moment == Moment::date) return start + "YYYY-MM-DD')";
  return moment == Moment::time ? start + "HH24:MI:SS')" : "";
}

}  // namespace

Translated translate_default(std::string_view sql, const SourceColumn& source, const ColumnPlan& column) {
  auto tokens = tokens_of(sql);
  if (!tokens) return {{}, "text that is no expression", false};
  *tokens = unwrapped(std::move(*tokens));
  if (const auto literal = literal_of(*tokens)) {
    return as_literal(with_affinity(*literal, affinity_of(source.declared_type)), column);
  }
  const auto moment = moment_of(*tokens);
  if (!moment) return {{}, "an expression that is not known", false};
  const std::string now = now_in(column, *moment);
  return now.empty() ? Translated{{}, "a moment that the column's type does not hold", false}
                     : Translated{now, {}, false};
}

}  // namespace tidegate
