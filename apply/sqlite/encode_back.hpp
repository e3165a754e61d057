// From a value's text on the target to the value that the legacy application would have written: exactly, or
// not at all. Pure.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "apply/sqlite/reverse_plan.hpp"
#include "proto/value.hpp"

namespace tidegate {

// `held`: what the legacy row has now, where there is one; it stays where it means the same. The value is as
// SQLite will store it. The misfit: no form of the column gives the target's value back.
std::variant<Value, Misfit> encode_back(const Value& target, const ReverseColumn& column,
                                        const Value* held = nullptr);

}  // namespace tidegate
