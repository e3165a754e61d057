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

char plain(char letter) {
  return letter == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
}

bool same_code(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return plain(x) == plain(y); });
}

// Findings that count rows have the code of why a row does not fit behind this word.
std::string_view reason_of(std::string_view code) {
  constexpr std::string_view counted = "misfit-";
  const bool is_counted = same_code(code.substr(0, counted.size()), counted);
  return is_counted ? code.substr(counted.size()) : code;
}

}  // namespace

const Explanation* explanation_of(std::string_view code) {
  code = reason_of(code);
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
