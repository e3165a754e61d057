// Rows with one thing in common, as a finding names them: how many, and the keys of the first.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <string>
#include <vector>

#include "replicator/config/units.hpp"

namespace tidegate {

inline constexpr std::size_t keys_shown = 10;

struct FoundRows {
  std::uint64_t rows = 0;
  std::vector<std::string> first;  // keys, as people are shown them

  void add(const std::string& key) {
    if (rows++ < keys_shown) first.push_back(key);
  }
  std::string keys() const { return fmt::format("(the first: {})", fmt::join(first, ", ")); }
  std::string text() const { return format_rows(rows) + " " + keys(); }
};

}  // namespace tidegate
