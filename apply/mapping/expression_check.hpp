// What can be said of an expression from its words alone. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

// The column that the expression is nothing but a name of; its value is then passed on as it is.
std::optional<std::string> passed_column(std::string_view expression,
                                         const std::vector<std::string>& columns);

// Places in `columns` of those that the expression may read: a word of that name, whatever it means.
std::vector<std::size_t> columns_read(std::string_view expression, const std::vector<std::string>& columns);

// Why the same row could give another value another time ("random"); empty where it cannot.
std::string not_repeatable(std::string_view expression);

// Are they the same but for blanks and comments?
bool same_expression(std::string_view a, std::string_view b);

// The text or number that the expression is nothing but, as texts are.
std::optional<std::string> constant(std::string_view expression);

// Is it one expression, so that nothing of it closes a bracket that stands around it?
bool is_balanced(std::string_view expression);

}  // namespace tidegate
