#include "proto/change.hpp"

#include <fmt/format.h>

#include <cmath>

#include "proto/text.hpp"

namespace tidegate {
namespace {

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
}

std::string hex(std::string_view bytes) {
  std::string out = "\\x";
  for (unsigned char c : bytes) out += fmt::format("{:02x}", c);
  return out;
}

// A text that JSON cannot hold, or that could be taken for a blob or for such a text.
std::string shown(const std::string& text) {
  bool as_it_is = is_valid_utf8(text) && !text.starts_with("\\x") && !text.starts_with("text:\\x");
  return as_it_is ? text : "text:" + hex(text);
}

void append_json(std::string& out, const Value& value) {
  if (auto* integer = std::get_if<std::int64_t>(&value)) {
    out += fmt::format("{}", *integer);
  } else if (auto* real = std::get_if<double>(&value)) {
    out += std::isfinite(*real) ? fmt::format("{}", *real) : *real > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else if (auto* text = std::get_if<std::string>(&value)) {
    append_json_string(out, shown(*text));
  } else if (auto* blob = std::get_if<Blob>(&value)) {
    append_json_string(out, hex(blob->bytes));
  } else {
    out += "null";
  }
}

}  // namespace

std::string key_as_json(const Row& key) {
  std::string out = "[";
  for (const Value& value : key) {
    if (out.size() > 1) out += ',';
    append_json(out, value);
  }
  return out + "]";
}

Row key_of(const Relation& relation, const Row& row) {
  Row key;
  for (auto place : relation.key) key.push_back(row.at(place));
  return key;
}

std::size_t size_in_memory(const Change& change) {
  return sizeof(Change) + size_in_memory(change.row) + size_in_memory(change.old) +
         size_in_memory(change.before) +
         (change.changed.size() + change.absent.size()) * sizeof(std::uint32_t);
}

}  // namespace tidegate
