// Two sets of pages of one snapshot that cannot be told from a page's image: the free ones, and those of the
// tables WITHOUT ROWID.
#pragma once

#include <optional>
#include <vector>

#include "capture/sqlite/narrowing/page_map.hpp"

namespace tidegate::sqlite_wal {

// The freelist's trunks and leaves. Built at the first question: one read per thousand free pages.
class FreePages {
 public:
  explicit FreePages(SnapshotPages& pages) : pages_(pages) {}
  bool contains(PageNumber number);

 private:
  void build();
  void add(PageNumber number);
  SnapshotPages& pages_;
  std::optional<std::vector<bool>> free_;
};

// The b-tree pages of one table WITHOUT ROWID, leaves and interior. It stays right from snapshot to snapshot
// while none of them is written: a tree grows, shrinks and moves only by writing a page that is in it.
class KeyedTreePages {
 public:
  // Reads the interior pages only: leaves are known from the level above. Nothing where the tree has more
  // than `limit` pages.
  static std::optional<KeyedTreePages> of(SnapshotPages& pages, PageNumber root, std::size_t limit);
  bool contains(PageNumber number) const;
  std::size_t size() const { return pages_.size(); }
  const std::vector<PageNumber>& pages() const { return pages_; }

 private:
  std::vector<PageNumber> pages_;  // sorted
};

}  // namespace tidegate::sqlite_wal
