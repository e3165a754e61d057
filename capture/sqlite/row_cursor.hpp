// One side of a merge: the rows of a live table or of its shadow, one after the other.
#pragma once

#include <string>
#include <utility>

#include "capture/sqlite/compare.hpp"

namespace tidegate {

class RowCursor {
 public:
  RowCursor(const ShadowTable& table, sqlite::Database& database, const std::string& sql)
      : table_(table), statement_(database.prepare(sql)) {}

  // From the start; with a range, the statement has two parameters for it.
  void begin(const std::optional<RowidRange>& range) {
    statement_.reset();
    if (range) statement_.bind(1, range->first).bind(2, range->second);
    next();
  }
  bool at_end() const { return at_end_; }
  const PlacedRow& row() const { return row_; }
  void next() {
    at_end_ = !statement_.step();
    if (!at_end_) table_.read(statement_, row_);
  }

 private:
  const ShadowTable& table_;
  sqlite::Statement statement_;
  PlacedRow row_;
  bool at_end_ = false;
};

// Where two keys stand in the shadow's order.
std::weak_ordering key_order(const Relation& relation, const Row& a, const Row& b);
// Two rows whose keys are equivalent.
void report_pair(const Relation& relation, const PlacedRow& live, const PlacedRow& shadow,
                 Differences& differences);

}  // namespace tidegate
