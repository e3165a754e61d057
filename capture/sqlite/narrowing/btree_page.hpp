// A view of one page image as SQLite's file format defines b-tree pages. Pure: bytes in, answers out.
#pragma once

#include <cstdint>

#include "capture/sqlite/narrowing/wal_file.hpp"

namespace tidegate::sqlite_wal {

enum class PageKind : std::uint8_t {
  other = 0,  // overflow, freelist trunk, pointer map, or a free page that never was of a b-tree
  index_interior = 2,
  table_interior = 5,
  index_leaf = 10,
  table_leaf = 13,
};

// By the type byte alone. Overflow and trunk pages begin with a page number, so they are told apart only in
// files of less than `max_pages` pages; pointer-map pages are not, and must be known by their number.
PageKind page_kind(Bytes image, PageNumber number);
constexpr std::uint32_t max_pages = 0x02000000;  // 137 GB of 4096-byte pages

// A malformed page throws Unsure. The view does not own the image.
class BtreePage {
 public:
  // `usable` is the page size less the reserved bytes at a page's end.
  BtreePage(Bytes image, PageNumber number, std::uint32_t usable);

  PageKind kind() const { return kind_; }
  bool is_table() const { return kind_ == PageKind::table_leaf || kind_ == PageKind::table_interior; }
  bool is_interior() const { return header_size_ == 12; }
  int cells() const { return cells_; }
  // Of an interior page; 0 to cells(), the last being the right-most.
  PageNumber child(int i) const;
  // Of a table page: a leaf cell's rowid, or the greatest rowid that an interior cell's child may hold.
  std::int64_t rowid(int i) const;
  // The first cell whose rowid() is not less; cells() if none.
  int lower_bound(std::int64_t rowid) const;

  struct Overflow {
    PageNumber first = 0;  // 0: the whole payload is on this page
    std::uint64_t pages = 0;
  };
  Overflow overflow(int i) const;

 private:
  std::size_t cell(int i) const;
  std::uint64_t varint(std::size_t& at) const;
  std::uint32_t local_payload(std::uint64_t payload) const;
  Bytes image_;
  PageKind kind_;
  std::size_t start_, header_size_ = 8;
  std::uint32_t usable_;
  int cells_ = 0;
};

}  // namespace tidegate::sqlite_wal
