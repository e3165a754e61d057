// Which row an overflow page belongs to. A row's overflow pages are written alone when an UPDATE keeps the
// row's size and changes only its far end, and an overflow page does not name its row.
//
// What is remembered is a hint: it counts only after the row's chain was walked in the snapshot and the page
// found in it. So a hint that is missing or out of date costs time, never a row.
#pragma once

#include <set>

#include "capture/sqlite/narrowing/page_map.hpp"

namespace tidegate::sqlite_wal {

class OverflowOwners {
 public:
  struct Owner {
    std::size_t table;
    std::int64_t rowid;
  };
  // The row whose chain holds the page in this snapshot, if a hint leads to it.
  std::optional<Owner> owner(PageNumber number, SnapshotPages& pages, const PageMap& map) const;

  // Reads every leaf of every rowid table, remembers what it meets, and takes each of `wanted` that it finds
  // out of that set, with `found(owner)`. From then on learn() keeps the hints fresh.
  template <typename Found>
  void scan(SnapshotPages& pages, const PageMap& map, std::set<PageNumber>& wanted, Found found);

  // A table's leaf was written: remembers the chains of its rows, unless no scan was ever needed.
  void learn(SnapshotPages& pages, std::size_t table, const BtreePage& leaf, const FrameMap& written);
  bool in_use() const { return in_use_; }
  void forget();

 private:
  static constexpr std::size_t max_hints = 500'000;  // some 25 MB
  void remember(PageNumber number, Owner owner);
  std::unordered_map<PageNumber, Owner> hints_;
  bool in_use_ = false;
};

template <typename Found>
void OverflowOwners::scan(SnapshotPages& pages, const PageMap& map, std::set<PageNumber>& wanted,
                          Found found) {
  in_use_ = true;
  for (std::size_t table = 0; table < map.tables().size() && !wanted.empty(); ++table) {
    if (map.tables()[table].keyed) continue;
    map.each_leaf(pages, table, [&](const BtreePage& leaf) {
      for (int i = 0; i < leaf.cells(); ++i) {
        Owner owner{table, leaf.rowid(i)};
        pages.each_overflow_page(leaf.overflow(i), [&](PageNumber number) {
          remember(number, owner);
          if (wanted.erase(number)) found(owner);
        });
      }
    });
  }
}

}  // namespace tidegate::sqlite_wal
