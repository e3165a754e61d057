// The merge of one live table with its shadow, both in key order: what differs, byte for byte.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "capture/sqlite/shadow.hpp"

namespace tidegate {

class Differences {
 public:
  virtual ~Differences() = default;
  virtual void inserted(const Row& live) = 0;
  virtual void updated(const Row& shadow, const Row& live) = 0;
  virtual void removed(const Row& shadow) = 0;
  // Keys that compare as equal, but are not the same bytes (1 and 1.0).
  virtual void replaced(const Row& shadow, const Row& live) = 0;
};

using RowidRange = std::pair<std::int64_t, std::int64_t>;  // inclusive

struct CompareCounts {
  std::uint64_t live_rows = 0;
};

// Reads `live` and `shadow`, each in an open read transaction. The shadow is written by the receiver on
// another connection, so that no cursor walks over rows that are being changed.
CompareCounts compare_table(const ShadowTable& table, sqlite::Database& live, sqlite::Database& shadow,
                            std::optional<RowidRange> range, Differences& differences);

}  // namespace tidegate
