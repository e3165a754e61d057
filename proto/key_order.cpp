#include "proto/key_order.hpp"

#include <array>
#include <charconv>
#include <stdexcept>

namespace tidegate {
namespace {

constexpr std::array<std::string_view, 3> names{"sqlite", "integer", "bytes"};

const std::string& text_of(const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text) throw std::invalid_argument("a key of a Postgres source is not a text");
  return *text;
}

std::int64_t integer_of(const Value& value) {
  const std::string& text = text_of(value);
  std::int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw std::invalid_argument("a key that is ordered as an integer is none");
  }
  return number;
}

std::weak_ordering compare(const Value& a, const Value& b, KeyOrder order) {
  if (order == KeyOrder::sqlite || is_null(a) || is_null(b)) return binary_order(a, b);
  if (order == KeyOrder::integer) return integer_of(a) <=> integer_of(b);
  return text_of(a).compare(text_of(b)) <=> 0;
}

}  // namespace

std::string_view name_of(KeyOrder order) {
  return names[static_cast<std::size_t>(order)];
}

std::optional<KeyOrder> key_order_named(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return static_cast<KeyOrder>(i);
  }
  return std::nullopt;
}

std::weak_ordering compare_keys(const Row& a, const Row& b, const std::vector<KeyOrder>& orders) {
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (auto order = compare(a.at(i), b.at(i), orders[i]); order != 0) return order;
  }
  return std::weak_ordering::equivalent;
}

}  // namespace tidegate
