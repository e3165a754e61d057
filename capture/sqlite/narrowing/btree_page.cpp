#include "capture/sqlite/narrowing/btree_page.hpp"

namespace tidegate::sqlite_wal {
namespace {

std::size_t header_start(PageNumber number) {
  return number == 1 ? 100 : 0;  // the file's header comes first on page 1
}

}  // namespace

PageKind page_kind(Bytes image, PageNumber number) {
  switch (image[header_start(number)]) {
    case 2:
      return PageKind::index_interior;
    case 5:
      return PageKind::table_interior;
    case 10:
      return PageKind::index_leaf;
    case 13:
      return PageKind::table_leaf;
    default:
      return PageKind::other;
  }
}

BtreePage::BtreePage(Bytes image, PageNumber number, std::uint32_t usable)
    : image_(image), kind_(page_kind(image, number)), start_(header_start(number)), usable_(usable) {
  if (kind_ == PageKind::other) throw Unsure("a page of a b-tree is not of a b-tree's kind");
  if (kind_ == PageKind::index_interior || kind_ == PageKind::table_interior) header_size_ = 12;
  cells_ = static_cast<int>(big_endian16(image_, start_ + 3));
  if (start_ + header_size_ + 2 * static_cast<std::size_t>(cells_) > usable_) {
    throw Unsure("a page of a b-tree claims more cells than it can hold");
  }
}

std::size_t BtreePage::cell(int i) const {
  std::size_t at = big_endian16(image_, start_ + header_size_ + 2 * static_cast<std::size_t>(i));
  if (at + 4 > usable_) throw Unsure("a cell lies beyond its page's end");
  return at;
}

std::uint64_t BtreePage::varint(std::size_t& at) const {
  std::uint64_t value = 0;
  for (int i = 0; i < 9; ++i, ++at) {
    if (at >= usable_) throw Unsure("a cell runs over its page's end");
    std::uint8_t byte = image_[at];
    if (i == 8) {
      value = value << 8 | byte;
      ++at;
      break;
    }
    value = value << 7 | (byte & 0x7fU);
    if (byte < 0x80) {
      ++at;
      break;
    }
  }
  return value;
}

PageNumber BtreePage::child(int i) const {
  if (!is_interior()) throw Unsure("a leaf has no children");
  return big_endian32(image_, i == cells_ ? start_ + 8 : cell(i));
}

std::int64_t BtreePage::rowid(int i) const {
  std::size_t at = cell(i);
  if (is_interior()) {
    at += 4;
  } else {
    varint(at);  // size of the payload
  }
  return static_cast<std::int64_t>(varint(at));
}

int BtreePage::lower_bound(std::int64_t wanted) const {
  int low = 0, high = cells_;
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (rowid(middle) < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// How much of a payload stays on the page: the format's own rule.
std::uint32_t BtreePage::local_payload(std::uint64_t payload) const {
  std::uint32_t most = kind_ == PageKind::table_leaf ? usable_ - 35 : (usable_ - 12) * 64 / 255 - 23;
  if (payload <= most) return static_cast<std::uint32_t>(payload);
  std::uint32_t least = (usable_ - 12) * 32 / 255 - 23;
  auto fitted = static_cast<std::uint32_t>(least + (payload - least) % (usable_ - 4));
  return fitted <= most ? fitted : least;
}

BtreePage::Overflow BtreePage::overflow(int i) const {
  if (kind_ == PageKind::table_interior) return {};
  std::size_t at = cell(i);
  if (is_interior()) at += 4;
  std::uint64_t payload = varint(at);
  if (kind_ == PageKind::table_leaf) varint(at);  // rowid
  std::uint32_t local = local_payload(payload);
  if (local == payload) return {};
  if (at + local + 4 > usable_) throw Unsure("a cell runs over its page's end");
  std::uint64_t rest = payload - local, room = usable_ - 4;
  return {big_endian32(image_, at + local), (rest + room - 1) / room};
}

}  // namespace tidegate::sqlite_wal
