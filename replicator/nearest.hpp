// "Did you mean": the known word that is nearest to a mistyped one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

// Absent where none is near enough to be meant (more than a third of the letters differ, at least two
// allowed).
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);

// "did you mean 'max_rows'?" or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace tidegate
