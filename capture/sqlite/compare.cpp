#include "capture/sqlite/compare.hpp"

namespace tidegate {
namespace {

// One side of the merge: the current row, and its key's place in the order.
class Cursor {
 public:
  Cursor(const ShadowTable& table, sqlite::Database& database, const std::string& sql,
         const std::optional<RowidRange>& range)
      : width_(table.width()), statement_(database.prepare(sql)) {
    if (range) statement_.bind(1, range->first).bind(2, range->second);
    next();
  }

  bool at_end() const { return at_end_; }
  const Row& row() const { return row_; }
  void next() {
    at_end_ = !statement_.step();
    if (!at_end_) statement_.read_row(row_, 0, width_);
  }

 private:
  int width_;
  sqlite::Statement statement_;
  Row row_;
  bool at_end_ = false;
};

std::weak_ordering key_order(const Relation& relation, const Row& a, const Row& b) {
  for (auto place : relation.key) {
    auto order = binary_order(a[place], b[place]);
    if (order != std::weak_ordering::equivalent) return order;
  }
  return std::weak_ordering::equivalent;
}

bool identical_keys(const Relation& relation, const Row& a, const Row& b) {
  for (auto place : relation.key) {
    if (!identical(a[place], b[place])) return false;
  }
  return true;
}

void report_pair(const Relation& relation, const Row& live, const Row& shadow, Differences& differences) {
  if (identical(live, shadow)) return;
  if (identical_keys(relation, live, shadow)) return differences.updated(shadow, live);
  differences.replaced(shadow, live);
}

std::weak_ordering side_to_take(const Relation& relation, const Cursor& live, const Cursor& shadow) {
  if (live.at_end()) return std::weak_ordering::greater;
  if (shadow.at_end()) return std::weak_ordering::less;
  return key_order(relation, live.row(), shadow.row());
}

}  // namespace

CompareCounts compare_table(const ShadowTable& table, sqlite::Database& live_database,
                            sqlite::Database& shadow_database, std::optional<RowidRange> range,
                            Differences& differences) {
  CompareCounts counts;
  Cursor live(table, live_database, table.select_live(range.has_value()), range);
  Cursor shadow(table, shadow_database, table.select_shadow(range.has_value()), range);
  while (!live.at_end() || !shadow.at_end()) {
    auto order = side_to_take(table.relation(), live, shadow);
    if (order < 0) {
      differences.inserted(live.row());
    } else if (order > 0) {
      differences.removed(shadow.row());
    } else {
      report_pair(table.relation(), live.row(), shadow.row(), differences);
    }
    if (order <= 0) {
      live.next();
      ++counts.live_rows;
    }
    if (order >= 0) shadow.next();
  }
  return counts;
}

}  // namespace tidegate
