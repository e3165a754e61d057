// What differs between a live table and its shadow, byte for byte.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "capture/sqlite/shadow.hpp"

namespace tidegate {

class Differences {
 public:
  virtual ~Differences() = default;
  virtual void inserted(const PlacedRow& live) = 0;
  virtual void updated(const PlacedRow& shadow, const PlacedRow& live) = 0;
  virtual void removed(const PlacedRow& shadow) = 0;
  // Keys that compare as equal, but are not the same bytes (1 and 1.0).
  virtual void replaced(const PlacedRow& shadow, const PlacedRow& live) = 0;
  // The same row, with another rowid in the source: the shadow's to know, no event.
  virtual void moved(const PlacedRow& live) = 0;
};

using RowidRange = std::pair<std::int64_t, std::int64_t>;  // inclusive

struct CompareCounts {
  std::uint64_t live_rows = 0;
};

// The merge of a live table with its shadow, both in key order. Reads `live` and `shadow`, each in an open
// read transaction. The shadow is written by the receiver on another connection, so that no cursor walks over
// rows that are being changed.
CompareCounts compare_table(const ShadowTable& table, sqlite::Database& live, sqlite::Database& shadow,
                            Differences& differences);
// The same for the rows of a table that is keyed by its rowid within some ranges.
CompareCounts compare_ranges(const ShadowTable& table, sqlite::Database& live, sqlite::Database& shadow,
                             const std::vector<RowidRange>& ranges, Differences& differences);

// The rows of a table with a key beside its rowid that have, or had at the last cut, a rowid within the
// ranges (which do not overlap). The ranges must hold every rowid at which live table and shadow differ; why
// that is enough is in narrowing/README.md. `written` is the connection on which `differences` writes the
// shadow.
CompareCounts compare_by_rowid(const ShadowTable& table, sqlite::Database& live, sqlite::Database& shadow,
                               sqlite::Database& written, const std::vector<RowidRange>& ranges,
                               Differences& differences);

}  // namespace tidegate
