// Which table a page of one snapshot belongs to, and which rowids lie below it. Nothing is remembered between
// snapshots but the tables' root pages: a page is placed by descending from a root to it, so what is said is
// true of that snapshot, whatever the page was used for before.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capture/sqlite/narrowing/snapshot_pages.hpp"

namespace tidegate::sqlite_wal {

struct Table {
  std::string name;
  PageNumber root = 0;
  bool keyed = false;  // WITHOUT ROWID: an index b-tree
};

// All b-trees that hold rows, sqlite_schema among them (first). `snapshot` and `pages` show the same
// snapshot.
std::vector<Table> tables_of(sqlite::Database& snapshot, SnapshotPages& pages);

// The rowid tables' trees.
class PageMap {
 public:
  explicit PageMap(std::vector<Table> tables);

  struct Place {
    std::size_t table;  // index into tables()
    RowidRange range;   // the rowids whose search path goes through the page
  };
  // Where a page stands that looks like a table's b-tree page. Nothing: it is in no table's tree. It must be
  // the page's own image in that snapshot.
  std::optional<Place> place(SnapshotPages& pages, PageNumber number, const BtreePage& page);
  // The overflow chain of one row; no pages where the row is not there or has none.
  BtreePage::Overflow overflow_of(SnapshotPages& pages, std::size_t table, std::int64_t rowid) const;
  // Every leaf of one table.
  template <typename Visit>
  void each_leaf(SnapshotPages& pages, std::size_t table, Visit visit) const;

  const std::vector<Table>& tables() const { return tables_; }

 private:
  std::optional<RowidRange> descend(SnapshotPages& pages, PageNumber root, std::int64_t rowid,
                                    PageNumber wanted) const;
  std::vector<Table> tables_;
  std::unordered_map<PageNumber, std::size_t> roots_;
  std::vector<std::size_t> recent_first_;  // changes come in runs of the same table
};

// The rows below child `i` of an interior page, given those below the page.
RowidRange range_of_child(const BtreePage& page, int i, RowidRange range);

// The rowids within `range` that an interior page sends to another child than it did before.
void each_rerouted(const BtreePage& before, const BtreePage& now, RowidRange range,
                   const std::function<void(RowidRange)>& receive);

template <typename Visit>
void PageMap::each_leaf(SnapshotPages& pages, std::size_t table, Visit visit) const {
  std::vector<PageNumber> to_visit{tables_[table].root};
  std::vector<std::uint8_t> image(pages.page_size());
  for (std::uint32_t visited = 0; !to_visit.empty(); ++visited) {
    if (visited > pages.page_count()) throw Unsure("a table's tree runs in a circle");
    PageNumber number = to_visit.back();
    to_visit.pop_back();
    pages.read(number, image);
    BtreePage page(image, number, pages.usable());
    if (!page.is_table()) throw Unsure("a table's tree holds a page of another kind");
    if (!page.is_interior()) visit(page);
    for (int i = 0; page.is_interior() && i <= page.cells(); ++i) to_visit.push_back(page.child(i));
  }
}

}  // namespace tidegate::sqlite_wal
