// A column's type within its definition, and whether another type takes all that it held. Pure.
#pragma once

#include <string>
#include <string_view>

#include "replicator/schema/statement.hpp"

namespace tidegate::schema {

struct ColumnText {
  std::string type;  // as written: "numeric(10,2)"
  std::string rest;  // all but the type, as plain_text() has it
};
ColumnText column_in(const Member& column);

// One type has several names: int, int4, integer.
bool same_type(std::string_view a, std::string_view b);
// Is each value of `from` the same value as `to`, and none refused? False in doubt.
bool widens(std::string_view from, std::string_view to);

}  // namespace tidegate::schema
