#include "apply/mapping/bound_value.hpp"

#include <charconv>
#include <cmath>
#include <map>

#include "db/postgres.hpp"

namespace tidegate {
namespace {

template <typename Number>
Value number_of(const std::string& text) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole) return text;
  return number;
}

std::string shortest(double number) {
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number);
  return std::string(buffer, end);
}

}  // namespace

BoundType bound_type(std::string_view declared) {
  static const std::map<std::string_view, BoundType> types = {
      {"smallint", BoundType::integer}, {"integer", BoundType::integer},
      {"bigint", BoundType::integer},   {"oid", BoundType::integer},
      {"real", BoundType::real},        {"double precision", BoundType::real},
      {"boolean", BoundType::boolean},  {"bytea", BoundType::blob}};
  auto found = types.find(declared);
  return found == types.end() ? BoundType::text : found->second;
}

Affinity affinity_of(BoundType type) {
  switch (type) {
    case BoundType::text:
      return Affinity::text;
    case BoundType::integer:
    case BoundType::boolean:
      return Affinity::integer;
    case BoundType::real:
      return Affinity::real;
    case BoundType::blob:
      return Affinity::blob;
  }
  return Affinity::blob;
}

Value bound_value(const Value& printed, BoundType type) {
  const auto* text = std::get_if<std::string>(&printed);
  if (!text) return printed;
  switch (type) {
    case BoundType::text:
      return *text;
    case BoundType::integer:
      return number_of<std::int64_t>(*text);
    case BoundType::real:
      if (*text == "NaN" || text->ends_with("Infinity")) return *text;
      return number_of<double>(*text);
    case BoundType::boolean:
      return std::int64_t{*text == "t"};
    case BoundType::blob:
      return Blob{postgres::from_bytea(*text)};
  }
  return *text;
}

Value printed_value(Value value) {
  if (auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (auto* real = std::get_if<double>(&value)) return shortest(*real);
  if (auto* blob = std::get_if<Blob>(&value)) return postgres::bytea(blob->bytes);
  return value;
}

}  // namespace tidegate
