#include "capture/sqlite/narrowing/snapshot_pages.hpp"

#include <array>

namespace tidegate::sqlite_wal {
namespace {

constexpr std::size_t cache_bytes = 8 << 20;  // the interior pages of some 100 tables of a million rows

}  // namespace

SnapshotPages::SnapshotPages(sqlite::Database& snapshot, const WalFile& wal, const FrameMap& frames,
                             std::uint32_t page_size)
    : snapshot_(snapshot),
      wal_(wal),
      frames_(frames),
      page_size_(page_size),
      page_count_(static_cast<std::uint32_t>(snapshot.integer("PRAGMA page_count"))) {
  if (page_count_ >= max_pages) throw Unsure("the file has too many pages to tell their kinds apart");
  std::array<std::uint8_t, 100> header;
  read(1, header);
  std::uint32_t stored = big_endian16(header, 16);
  if ((stored == 1 ? 65536 : stored) != page_size_) throw Unsure("the page size is not the WAL's");
  usable_ = page_size_ - header[20];
  if (usable_ < 480) throw Unsure("the file reserves too much of each page");
  has_pointer_maps_ = big_endian32(header, 52) != 0;
}

bool SnapshotPages::is_pointer_map(PageNumber number) const {
  if (!has_pointer_maps_ || number < 2) return false;
  std::uint32_t stride = usable_ / 5 + 1;
  PageNumber map = (number - 2) / stride * stride + 2;
  PageNumber lock_byte_page = 0x40000000U / page_size_ + 1;
  return number == (map == lock_byte_page ? map + 1 : map);
}

void SnapshotPages::read(PageNumber number, std::span<std::uint8_t> into) {
  if (!exists(number)) throw Unsure("a page beyond the file's end is referred to");
  auto frame = frames_.find(number);
  if (frame != frames_.end()) {
    wal_.read_image(frame->second, into);
    return;
  }
  std::int64_t offset = std::int64_t{number - 1} * page_size_;
  if (!snapshot_.read_file(offset, into.data(), into.size()))
    throw Unsure("the file is shorter than it says");
}

SnapshotPages::Image SnapshotPages::page(PageNumber number) {
  auto found = cache_.find(number);
  if (found != cache_.end()) return found->second;
  auto bytes = std::make_shared<std::vector<std::uint8_t>>(page_size_);
  read(number, *bytes);
  if (cache_.size() * page_size_ >= cache_bytes) cache_.clear();
  return cache_.emplace(number, std::move(bytes)).first->second;
}

}  // namespace tidegate::sqlite_wal
