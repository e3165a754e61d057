#include "capture/sqlite/compare.hpp"

#include "capture/sqlite/key_sample.hpp"
#include "capture/sqlite/row_cursor.hpp"

namespace tidegate {
namespace {

bool identical_keys(const Relation& relation, const Row& a, const Row& b) {
  for (auto place : relation.key) {
    if (!identical(a[place], b[place])) return false;
  }
  return true;
}

std::weak_ordering side_to_take(const Relation& relation, const RowCursor& live, const RowCursor& shadow) {
  if (live.at_end()) return std::weak_ordering::greater;
  if (shadow.at_end()) return std::weak_ordering::less;
  return key_order(relation, live.row().row, shadow.row().row);
}

}  // namespace

std::weak_ordering key_order(const Relation& relation, const Row& a, const Row& b) {
  for (auto place : relation.key) {
    auto order = binary_order(a[place], b[place]);
    if (order != std::weak_ordering::equivalent) return order;
  }
  return std::weak_ordering::equivalent;
}

void report_pair(const Relation& relation, const PlacedRow& live, const PlacedRow& shadow,
                 Differences& differences) {
  if (identical(live.row, shadow.row)) {
    if (live.rowid != shadow.rowid) differences.moved(live);
    return;
  }
  if (identical_keys(relation, live.row, shadow.row)) return differences.updated(shadow, live);
  differences.replaced(shadow, live);
}

namespace {

void merge(const Relation& relation, RowCursor& live, RowCursor& shadow, Differences& differences,
           CompareCounts& counts) {
  while (!live.at_end() || !shadow.at_end()) {
    auto order = side_to_take(relation, live, shadow);
    if (order < 0) {
      differences.inserted(live.row());
    } else if (order > 0) {
      differences.removed(shadow.row());
    } else {
      report_pair(relation, live.row(), shadow.row(), differences);
    }
    if (order <= 0) {
      live.next();
      ++counts.live_rows;
    }
    if (order >= 0) shadow.next();
  }
}

CompareCounts compare(const ShadowTable& table, sqlite::Database& live_database,
                      sqlite::Database& shadow_database, ShadowTable::Rows rows,
                      const std::vector<std::optional<RowidRange>>& ranges, Differences& differences) {
  CompareCounts counts;
  const bool all = rows == ShadowTable::Rows::all;
  RowCursor live(table, live_database, all ? select_all_live(live_database, table) : table.select_live(rows));
  RowCursor shadow(table, shadow_database, table.select_shadow(rows));
  for (const auto& range : ranges) {
    live.begin(range);
    shadow.begin(range);
    merge(table.relation(), live, shadow, differences, counts);
  }
  return counts;
}

}  // namespace

CompareCounts compare_table(const ShadowTable& table, sqlite::Database& live, sqlite::Database& shadow,
                            Differences& differences) {
  return compare(table, live, shadow, ShadowTable::Rows::all, {std::nullopt}, differences);
}

CompareCounts compare_ranges(const ShadowTable& table, sqlite::Database& live, sqlite::Database& shadow,
                             const std::vector<RowidRange>& ranges, Differences& differences) {
  return compare(table, live, shadow, ShadowTable::Rows::in_rowid_range, {ranges.begin(), ranges.end()},
                 differences);
}

}  // namespace tidegate
