// The built-in table behind `tidegate explain`: needs no file and no network.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cli {

struct Explanation {
  std::string_view code, meaning, mend;
};

// Null where the code is not known. Codes are compared without case.
const Explanation* explanation_of(std::string_view code);
std::vector<std::string> explained_codes();

}  // namespace tidegate::cli
