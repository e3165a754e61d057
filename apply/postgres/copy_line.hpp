// Lines of COPY's text format, taken apart. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

// The fields of one line without its newline, still escaped.
void split_fields(std::string_view line, std::vector<std::string_view>& fields);
bool is_null_field(std::string_view field);
// What the field says; nothing for NULL.
std::optional<std::string> field_value(std::string_view field);

}  // namespace tidegate
