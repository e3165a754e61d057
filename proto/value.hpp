// A value exactly as its source held it. Nothing is re-typed before the target's column is known.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tidegate {

struct Null {
  bool operator==(const Null&) const = default;
};

struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};

// SQLite's five storage classes. A text may hold invalid UTF-8 and NUL bytes: it is what the source gave.
// A Postgres source uses Null and std::string only (the text that the server printed).
using Value = std::variant<Null, std::int64_t, double, std::string, Blob>;
using Row = std::vector<Value>;

inline bool is_null(const Value& value) {
  return std::holds_alternative<Null>(value);
}

// "null", "integer", "real", "text" or "blob".
std::string_view storage_class(const Value& value);

// Same storage class and same bytes: 1 and 1.0 differ, 'a' and 'A' differ, two NaNs are alike, 0.0 and -0.0
// differ.
bool identical(const Value& a, const Value& b);
bool identical(const Row& a, const Row& b);

// SQLite's order under collation BINARY: null < numbers (by exact value, 1 == 1.0) < text (bytes) < blob
// (bytes).
std::weak_ordering binary_order(const Value& a, const Value& b);
std::weak_ordering binary_order(const Row& a, const Row& b);

// Memory that a value takes, for the limits on queues and batches.
std::size_t size_in_memory(const Value& value);
std::size_t size_in_memory(const Row& row);

}  // namespace tidegate
