#include "apply/schema/declared_type.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "apply/encode_parts.hpp"
#include "apply/schema/tokens.hpp"
#include "proto/text.hpp"

namespace tidegate {
namespace {

struct NamedFamily {
  std::string_view name;
  Family family;
};

// Names whose affinity alone would mislead or says too little; SQLAlchemy's, Django's and other servers'
// words.
constexpr std::array kFamilies = std::to_array<NamedFamily>({
    {"boolean", Family::boolean},
    {"bool", Family::boolean},
    {"serial", Family::integer},
    {"bigserial", Family::integer},
    {"varchar", Family::varchar},
    {"char", Family::varchar},
    {"nvarchar", Family::varchar},
    {"nchar", Family::varchar},
    {"varchar2", Family::varchar},
    {"character", Family::varchar},
    {"character varying", Family::varchar},
    {"varying character", Family::varchar},
    {"native character", Family::varchar},
    {"datetime", Family::datetime},
    {"timestamp", Family::datetime},
    {"timestamptz", Family::datetime},
    {"timestamp with time zone", Family::datetime},
    {"timestamp without time zone", Family::datetime},
    {"datetime2", Family::datetime},
    {"smalldatetime", Family::datetime},
    {"datetimeoffset", Family::datetime},
    {"date", Family::date},
    {"time", Family::time},
    {"time without time zone", Family::time},
    {"numeric", Family::numeric},
    {"decimal", Family::numeric},
    {"dec", Family::numeric},
    {"number", Family::numeric},
    {"bytea", Family::blob},
    {"binary", Family::blob},
    {"varbinary", Family::blob},
    {"json", Family::json},
    {"jsonb", Family::json},
    {"interval", Family::unknown},  // both hold INT, and so have integer affinity
    {"point", Family::unknown},
    {"any", Family::none},  // of STRICT tables: keeps every value as it is
});

Family family_by_affinity(std::string_view declared) {
  switch (affinity_of(declared)) {
    case Affinity::integer:
      return Family::integer;
    case Affinity::text:
      return Family::text;
    case Affinity::real:
      return Family::real;
    case Affinity::blob:
      return Family::blob;
    case Affinity::numeric:
      break;
  }
  return Family::unknown;
}

// An integer where that is exact, else a real, as SQLite keeps a number that came as text.
Value number_of(const std::string& text, Affinity affinity) {
  std::string number;
  if (affinity != Affinity::real && encoding::convert_to_bigint(Value(text), number)) {
    const auto decimal = parse_decimal(text);
    std::int64_t value = 0;
    std::from_chars(number.data(), number.data() + number.size(), value);
    if (decimal && decimal->fraction_digits == 0) return value;
  }
  double value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  std::from_chars(begin, text.data() + text.size(), value);
  return value;
}

}  // namespace

Affinity affinity_of(std::string_view declared) {
  const std::string name = ascii_lower(declared);
  const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
  if (has("int")) return Affinity::integer;
  if (has("char") || has("clob") || has("text")) return Affinity::text;
  if (has("blob") || name.empty()) return Affinity::blob;
  if (has("real") || has("floa") || has("doub")) return Affinity::real;
  return Affinity::numeric;
}

Value with_affinity(Value value, Affinity affinity) {
  const auto* text = std::get_if<std::string>(&value);
  const auto* integer = std::get_if<std::int64_t>(&value);
  const bool wants_number = affinity != Affinity::text && affinity != Affinity::blob;
  if (text && wants_number && parse_decimal(*text)) return number_of(*text, affinity);
  if (integer && affinity == Affinity::real) return static_cast<double>(*integer);
  if (affinity == Affinity::text && (integer || std::holds_alternative<double>(value))) {
    std::string printed;
    encoding::write_text(value, ColumnPlan{}, printed);
    return printed;
  }
  return value;
}

DeclaredType declared_type(std::string_view declared) {
  DeclaredType type;
  const auto tokens = tokens_of(declared);
  if (declared.empty() || !tokens)
    return {declared.empty() ? Family::none : family_by_affinity(declared), {}};
  std::string name;
  for (const Token& token : *tokens) {
    if (token.kind == Token::Kind::word) name += (name.empty() ? "" : " ") + ascii_lower(token.text);
    if (token.kind != Token::Kind::number) continue;
    int argument = 0;
    const auto read = std::from_chars(token.text.data(), token.text.data() + token.text.size(), argument);
    if (read.ec == std::errc() && *read.ptr == '\0') type.arguments.push_back(argument);
  }
  const auto* found =
      std::find_if(kFamilies.begin(), kFamilies.end(), [&](const NamedFamily& f) { return f.name == name; });
  type.family = found == kFamilies.end() ? family_by_affinity(declared) : found->family;
  return type;
}

}  // namespace tidegate
