// What a target's text means, whatever its spelling. Pure.
#pragma once

#include <string_view>

#include "apply/plan.hpp"
#include "proto/value.hpp"

namespace tidegate {

// Do two texts of this column (as the forward encoder writes them, or as the server prints them) mean the
// same value? In doubt no: JSON with numbers beyond a double's digits must agree byte by byte.
bool same_meaning(std::string_view a, std::string_view b, const ColumnPlan& column);

// Does the legacy's value, encoded forward by the column's rules, mean what the target holds?
bool means(const Value& legacy, std::string_view target, const ColumnPlan& column);
// The same for SQL NULL on the target: NULL, or what a rule makes NULL of.
bool means_null(const Value& legacy, const ColumnPlan& column);

}  // namespace tidegate
