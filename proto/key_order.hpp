// The order of keys as a source's server has it, for those types where it can be reproduced exactly.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/value.hpp"

namespace tidegate {

enum class KeyOrder {
  sqlite,   // by storage class, as binary_order()
  integer,  // texts of integers, by number
  bytes,    // texts, byte by byte: text under a C collation, and uuid and bytea as the server prints them
};

std::string_view name_of(KeyOrder order);
std::optional<KeyOrder> key_order_named(std::string_view name);

// One order per part of the keys; NULL comes first. Throws std::invalid_argument where a text is not an
// integer that its order asks for.
std::weak_ordering compare_keys(const Row& a, const Row& b, const std::vector<KeyOrder>& orders);

}  // namespace tidegate
