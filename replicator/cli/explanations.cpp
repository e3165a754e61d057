#include <algorithm>
#include <array>
#include <cctype>

#include "replicator/cli/explained/explained.hpp"

namespace tidegate::cli {

namespace {

std::array<std::span<const Explanation>, 6> all() {
  return {explained_operator(), explained_source(),   explained_target(),
          explained_values(),   explained_pipeline(), explained_cutover()};
}

bool same_code(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

const Explanation* explanation_of(std::string_view code) {
  for (const auto explanations : all()) {
    for (const auto& explanation : explanations) {
      if (same_code(explanation.code, code)) return &explanation;
    }
  }
  return nullptr;
}

std::vector<std::string> explained_codes() {
  std::vector<std::string> codes;
  for (const auto explanations : all()) {
    for (const auto& explanation : explanations) codes.emplace_back(explanation.code);
  }
  return codes;
}

}  // namespace tidegate::cli
