#include <cmath>

#include "apply/encode_parts.hpp"
#include "proto/json_text.hpp"
#include "proto/text.hpp"

namespace tidegate::encoding {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

// As SQLite prints a number in a text: a real always shows that it is one.
void append_number_as_text(const Value& value, std::string& out) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return append_integer(*integer, out);
  const double real = std::get<double>(value);
  const std::size_t start = out.size();
  append_real(real, out);
  if (std::isfinite(real) && out.find_first_of(".e", start) == out.npos) out += ".0";
}

bool too_long(const ColumnPlan& column, std::size_t characters) {
  return column.type == TargetType::varchar && column.precision > 0 &&
         characters > static_cast<std::size_t>(column.precision);
}

Refusal write_string(const std::string& text, const ColumnPlan& column, std::string& out) {
  const TextFacts facts = scan_text(text);
  if (facts.has_nul) return Misfit::nul;
  if (!facts.valid_utf8) return Misfit::invalid_utf8;
  if (too_long(column, facts.characters)) return Misfit::too_long;
  out += text;
  return std::nullopt;
}

void append_hex(std::string_view bytes, std::string& out) {
  const std::size_t start = out.size();
  out.resize(start + 2 + 2 * bytes.size());
  char* at = out.data() + start;
  *at++ = '\\';
  *at++ = 'x';
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    *at++ = kHex[byte >> 4];
    *at++ = kHex[byte & 15];
  }
}

void append_json_character(char c, std::string& out) {
  if (c == '"' || c == '\\') {
    out += '\\';
    out += c;
  } else if (static_cast<unsigned char>(c) < 0x20) {
    out += "\\u00";
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[c & 15];
  } else {
    out += c;
  }
}

}  // namespace

Refusal write_text(const Value& value, const ColumnPlan& column, std::string& out) {
  if (const auto* text = std::get_if<std::string>(&value)) return write_string(*text, column, out);
  if (std::holds_alternative<Blob>(value)) return Misfit::wrong_class;
  const std::size_t start = out.size();
  append_number_as_text(value, out);
  if (too_long(column, out.size() - start)) return Misfit::too_long;
  return std::nullopt;
}

Refusal write_native(const Value& value, std::string& out) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text) return Misfit::wrong_class;
  out += *text;
  return std::nullopt;
}

Refusal write_bytea(const Value& value, std::string& out) {
  if (const auto* blob = std::get_if<Blob>(&value)) return append_hex(blob->bytes, out), std::nullopt;
  if (const auto* text = std::get_if<std::string>(&value)) return append_hex(*text, out), std::nullopt;
  return Misfit::wrong_class;
}

// Numbers are JSON: a column that SQLite declared as JSON has numeric affinity, so '12' is kept as an
// integer.
Refusal write_jsonb(const Value& value, std::string& out) {
  if (const auto* integer = std::get_if<std::int64_t>(&value))
    return append_integer(*integer, out), std::nullopt;
  if (const auto* real = std::get_if<double>(&value)) {
    if (!std::isfinite(*real)) return Misfit::invalid_json;
    return append_real(*real, out), std::nullopt;
  }
  const auto* text = std::get_if<std::string>(&value);
  if (!text) return Misfit::wrong_class;
  if (text->empty()) return Misfit::empty;
  if (!is_jsonb(*text)) return Misfit::invalid_json;
  out += *text;
  return std::nullopt;
}

bool convert_to_varchar(const Value& value, const ColumnPlan& column, std::string& out) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text || !is_valid_utf8(*text)) return false;
  out += first_characters(*text, static_cast<std::size_t>(column.precision));
  return true;
}

bool convert_to_json_string(const Value& value, std::string& out) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text) return false;
  const TextFacts facts = scan_text(*text);
  if (facts.has_nul || !facts.valid_utf8) return false;
  out += '"';
  for (const char c : *text) append_json_character(c, out);
  out += '"';
  return true;
}

}  // namespace tidegate::encoding
