// A Postgres source's values, which are texts, as the expressions' engine takes them, and back. Pure.
#pragma once

#include <string_view>

#include "apply/schema/declared_type.hpp"
#include "proto/value.hpp"

namespace tidegate {

enum class BoundType { text, integer, real, boolean, blob };

// By the type's name as the source's server prints it ("bigint", "double precision", "character
// varying(80)").
BoundType bound_type(std::string_view declared);
Affinity affinity_of(BoundType type);

// What has no such form (NaN in a float column) stays the text that it is.
Value bound_value(const Value& printed, BoundType type);
// As Postgres reads it: digits, the shortest spelling of a float, \x… for bytes.
Value printed_value(Value value);

}  // namespace tidegate
