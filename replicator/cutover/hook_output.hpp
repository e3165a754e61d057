// What a hook printed, without the secrets that it may hold: before it is kept or shown.
#pragma once

#include <string>
#include <string_view>

namespace tidegate::cutover {

// Stands in the audit between what became of a hook and what it printed.
inline constexpr const char* output_mark = ", and printed: ";

// Passwords in URLs, the values of names that sound like secrets (PGPASSWORD=…, "api_key": "…", --password
// …), what follows Authorization and Bearer, and keys that show what they are become ***. In doubt too much.
std::string masked_output(std::string_view text);

// An entry of the audit without what a hook printed.
std::string without_output(const std::string& detail);

}  // namespace tidegate::cutover
