#include "proto/value.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace tidegate {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;

std::weak_ordering order(std::int64_t a, double b) {
  if (std::isnan(b) || b < -kTwoTo63) return std::weak_ordering::greater;
  if (b >= kTwoTo63) return std::weak_ordering::less;
  const auto whole = static_cast<std::int64_t>(b);  // towards zero, and exact
  if (a != whole) return a <=> whole;
  const double fraction = b - static_cast<double>(whole);
  return fraction > 0   ? std::weak_ordering::less
         : fraction < 0 ? std::weak_ordering::greater
                        : std::weak_ordering::equivalent;
}

// NaN, which SQLite does not store, goes before all other numbers, so that this is an order.
std::weak_ordering order(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(b) <=> std::isnan(a);
  return a < b   ? std::weak_ordering::less
         : a > b ? std::weak_ordering::greater
                 : std::weak_ordering::equivalent;
}

std::weak_ordering reversed(std::weak_ordering ordering) {
  return 0 <=> ordering;
}

std::weak_ordering number_order(const Value& a, const Value& b) {
  const auto* a_integer = std::get_if<std::int64_t>(&a);
  const auto* b_integer = std::get_if<std::int64_t>(&b);
  if (a_integer && b_integer) return *a_integer <=> *b_integer;
  if (a_integer) return order(*a_integer, std::get<double>(b));
  if (b_integer) return reversed(order(*b_integer, std::get<double>(a)));
  return order(std::get<double>(a), std::get<double>(b));
}

// Null, number, text, blob.
int rank(const Value& value) {
  constexpr std::array<int, 5> ranks = {0, 1, 1, 2, 3};
  return ranks[value.index()];
}

std::size_t heap_of(const std::string& text) {
  constexpr std::size_t kInside = 15;  // what libstdc++ keeps in the object itself
  return text.capacity() > kInside ? text.capacity() + 1 : 0;
}

}  // namespace

std::string_view storage_class(const Value& value) {
  constexpr std::array<std::string_view, 5> names = {"null", "integer", "real", "text", "blob"};
  return names[value.index()];
}

bool identical(const Value& a, const Value& b) {
  const auto* a_real = std::get_if<double>(&a);
  const auto* b_real = std::get_if<double>(&b);
  if (!a_real || !b_real) return a == b;
  return std::bit_cast<std::uint64_t>(*a_real) == std::bit_cast<std::uint64_t>(*b_real) ||
         (std::isnan(*a_real) && std::isnan(*b_real));
}

bool identical(const Row& a, const Row& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Value& x, const Value& y) { return identical(x, y); });
}

std::weak_ordering binary_order(const Value& a, const Value& b) {
  const int rank_of_a = rank(a), rank_of_b = rank(b);
  if (rank_of_a != rank_of_b) return rank_of_a <=> rank_of_b;
  switch (rank_of_a) {
    case 1:
      return number_order(a, b);
    case 2:
      return std::get<std::string>(a) <=> std::get<std::string>(b);  // char_traits compare as unsigned bytes
    case 3:
      return std::get<Blob>(a).bytes <=> std::get<Blob>(b).bytes;
    default:
      return std::weak_ordering::equivalent;
  }
}

std::weak_ordering binary_order(const Row& a, const Row& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (const auto ordering = binary_order(a[i], b[i]); ordering != 0) return ordering;
  }
  return a.size() <=> b.size();
}

std::size_t size_in_memory(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return sizeof(Value) + heap_of(*text);
  if (const auto* blob = std::get_if<Blob>(&value)) return sizeof(Value) + heap_of(blob->bytes);
  return sizeof(Value);
}

std::size_t size_in_memory(const Row& row) {
  std::size_t size = sizeof(Row) + (row.capacity() - row.size()) * sizeof(Value);
  for (const Value& value : row) size += size_in_memory(value);
  return size;
}

}  // namespace tidegate
