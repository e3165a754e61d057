// The pages of the file as one held read snapshot sees them: the last frame of a page in the WAL up to the
// snapshot's position, else the database file, read through SQLite's own file.
//
// Why the file is right: while the snapshot is held a checkpoint copies only frames that the snapshot also
// sees, so a page without such a frame is not written; and a snapshot that ignores the WAL (all of it was in
// the file when it began) keeps every checkpoint from writing.
#pragma once

#include <memory>
#include <vector>

#include "capture/sqlite/narrowing/btree_page.hpp"
#include "capture/sqlite/narrowing/wal_file.hpp"
#include "db/sqlite.hpp"

namespace tidegate::sqlite_wal {

class SnapshotPages {
 public:
  // `frames` holds the last frame up to the snapshot's position of each page that is going to be read: none
  // where the WAL was reset since the snapshot began. All three outlive this object.
  SnapshotPages(sqlite::Database& snapshot, const WalFile& wal, const FrameMap& frames,
                std::uint32_t page_size);

  std::uint32_t page_count() const { return page_count_; }
  std::uint32_t page_size() const { return page_size_; }
  std::uint32_t usable() const { return usable_; }
  bool exists(PageNumber number) const { return number >= 1 && number <= page_count_; }
  bool is_pointer_map(PageNumber number) const;

  using Image = std::shared_ptr<const std::vector<std::uint8_t>>;
  Image page(PageNumber number);  // through a cache of limited size
  // The first bytes of a page, past the cache.
  void read(PageNumber number, std::span<std::uint8_t> into);
  // Each page of an overflow chain. Throws Unsure where the chain is shorter than it should be.
  template <typename Visit>
  void each_overflow_page(BtreePage::Overflow overflow, Visit visit);

 private:
  sqlite::Database& snapshot_;
  const WalFile& wal_;
  const FrameMap& frames_;
  std::uint32_t page_size_, page_count_, usable_ = 0;
  bool has_pointer_maps_ = false;
  std::unordered_map<PageNumber, Image> cache_;
};

template <typename Visit>
void SnapshotPages::each_overflow_page(BtreePage::Overflow overflow, Visit visit) {
  if (overflow.pages > page_count_) throw Unsure("a payload is larger than the file");
  PageNumber number = overflow.first;
  for (std::uint64_t i = 0; i < overflow.pages; ++i) {
    if (!exists(number)) throw Unsure("an overflow chain leaves the file");
    visit(number);
    std::uint8_t next[4];
    read(number, next);
    number = big_endian32(next, 0);
  }
  if (number != 0) throw Unsure("an overflow chain is longer than its payload");
}

}  // namespace tidegate::sqlite_wal
