#include "capture/sqlite/narrowing/page_map.hpp"

#include <algorithm>
#include <numeric>

namespace tidegate::sqlite_wal {
namespace {

constexpr int max_depth = 40;  // SQLite itself gives up at 20

}  // namespace

std::vector<Table> tables_of(sqlite::Database& snapshot, SnapshotPages& pages) {
  std::vector<Table> tables{{"sqlite_schema", 1, false}};
  auto select =
      snapshot.prepare("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' AND rootpage > 0");
  while (select.step()) {
    auto root = static_cast<PageNumber>(select.integer(1));
    auto image = pages.page(root);
    tables.push_back({select.text(0), root, !BtreePage(*image, root, pages.usable()).is_table()});
  }
  return tables;
}

RowidRange range_of_child(const BtreePage& page, int i, RowidRange range) {
  if (i > 0) {
    std::int64_t below = page.rowid(i - 1);
    if (below >= range.last || below < range.first)
      throw Unsure("the keys of an interior page are out of order");
    range.first = below + 1;
  }
  if (i < page.cells()) range.last = std::min(range.last, page.rowid(i));
  if (range.first > range.last) throw Unsure("the keys of an interior page are out of order");
  return range;
}

void each_rerouted(const BtreePage& before, const BtreePage& now, RowidRange range,
                   const std::function<void(RowidRange)>& receive) {
  std::int64_t first = range.first;
  int i = before.lower_bound(first), j = now.lower_bound(first);
  while (true) {
    std::int64_t before_last = i < before.cells() ? before.rowid(i) : range.last;
    std::int64_t now_last = j < now.cells() ? now.rowid(j) : range.last;
    std::int64_t last = std::min({before_last, now_last, range.last});
    if (last < first) throw Unsure("the keys of an interior page are out of order");
    if (before.child(i) != now.child(j)) receive({first, last});
    if (last == range.last) return;
    if (before_last == last) ++i;
    if (now_last == last) ++j;
    first = last + 1;
  }
}

PageMap::PageMap(std::vector<Table> tables) : tables_(std::move(tables)), recent_first_(tables_.size()) {
  std::iota(recent_first_.begin(), recent_first_.end(), 0);
  std::erase_if(recent_first_, [this](std::size_t i) { return tables_[i].keyed; });
  for (std::size_t i : recent_first_) roots_.emplace(tables_[i].root, i);
}

std::optional<PageMap::Place> PageMap::place(SnapshotPages& pages, PageNumber number, const BtreePage& page) {
  auto root = roots_.find(number);
  if (root != roots_.end()) return Place{root->second, RowidRange{}};
  if (page.cells() == 0) throw Unsure("a page of a table's tree is empty");
  std::int64_t rowid = page.rowid(0);
  for (auto table = recent_first_.begin(); table != recent_first_.end(); ++table) {
    auto range = descend(pages, tables_[*table].root, rowid, number);
    if (!range) continue;
    std::rotate(recent_first_.begin(), table, table + 1);
    return Place{recent_first_.front(), *range};
  }
  return std::nullopt;
}

std::optional<RowidRange> PageMap::descend(SnapshotPages& pages, PageNumber root, std::int64_t rowid,
                                           PageNumber wanted) const {
  RowidRange range;
  PageNumber number = root;
  for (int depth = 0; depth < max_depth; ++depth) {
    if (number == wanted) return range;
    auto image = pages.page(number);
    BtreePage page(*image, number, pages.usable());
    if (!page.is_table()) throw Unsure("a table's tree holds a page of another kind");
    if (!page.is_interior()) return std::nullopt;
    int i = page.lower_bound(rowid);
    range = range_of_child(page, i, range);
    number = page.child(i);
  }
  throw Unsure("a table's tree is too deep");
}

BtreePage::Overflow PageMap::overflow_of(SnapshotPages& pages, std::size_t table, std::int64_t rowid) const {
  PageNumber number = tables_[table].root;
  for (int depth = 0; depth < max_depth; ++depth) {
    auto image = pages.page(number);
    BtreePage page(*image, number, pages.usable());
    if (!page.is_table()) throw Unsure("a table's tree holds a page of another kind");
    int i = page.lower_bound(rowid);
    if (!page.is_interior()) {
      return i < page.cells() && page.rowid(i) == rowid ? page.overflow(i) : BtreePage::Overflow{};
    }
    number = page.child(i);
  }
  throw Unsure("a table's tree is too deep");
}

}  // namespace tidegate::sqlite_wal
