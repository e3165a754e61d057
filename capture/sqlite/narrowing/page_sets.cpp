#include "capture/sqlite/narrowing/page_sets.hpp"

#include <algorithm>

namespace tidegate::sqlite_wal {
namespace {

bool is_index(const BtreePage& page) {
  return page.kind() == PageKind::index_leaf || page.kind() == PageKind::index_interior;
}

BtreePage index_page(Bytes image, PageNumber number, std::uint32_t usable) {
  BtreePage page(image, number, usable);
  if (!is_index(page)) throw Unsure("the tree of a table WITHOUT ROWID holds a page of another kind");
  return page;
}

// A b-tree is as deep everywhere as it is on its left.
int interior_levels(SnapshotPages& pages, PageNumber number) {
  for (int levels = 0; levels < 40; ++levels) {
    auto image = pages.page(number);
    BtreePage page = index_page(*image, number, pages.usable());
    if (!page.is_interior()) return levels;
    number = page.child(0);
  }
  throw Unsure("the tree of a table WITHOUT ROWID is too deep");
}

}  // namespace

bool FreePages::contains(PageNumber number) {
  if (!free_) build();
  return number < free_->size() && (*free_)[number];
}

void FreePages::add(PageNumber number) {
  if (!pages_.exists(number)) throw Unsure("the freelist names a page beyond the file's end");
  (*free_)[number] = true;
}

void FreePages::build() {
  free_.emplace(std::size_t{pages_.page_count()} + 1);
  std::vector<std::uint8_t> image(pages_.page_size());
  pages_.read(1, image);
  PageNumber trunk = big_endian32(image, 32);
  std::uint32_t count = big_endian32(image, 36), seen = 0;
  while (trunk != 0) {
    add(trunk);
    pages_.read(trunk, image);
    std::uint32_t leaves = big_endian32(image, 4);
    if (8 + 4 * std::uint64_t{leaves} > pages_.page_size())
      throw Unsure("a trunk of the freelist is malformed");
    for (std::uint32_t i = 0; i < leaves; ++i) add(big_endian32(image, 8 + 4 * std::size_t{i}));
    seen += leaves + 1;
    if (seen > count) throw Unsure("the freelist is longer than it says");
    trunk = big_endian32(image, 0);
  }
  if (seen != count) throw Unsure("the freelist is shorter than it says");
}

std::optional<KeyedTreePages> KeyedTreePages::of(SnapshotPages& pages, PageNumber root, std::size_t limit) {
  KeyedTreePages tree;
  tree.pages_.push_back(root);
  std::size_t level_start = 0;
  for (int levels = interior_levels(pages, root); levels > 0; --levels) {
    std::size_t level_end = tree.pages_.size();
    for (std::size_t at = level_start; at < level_end; ++at) {
      PageNumber number = tree.pages_[at];
      auto image = pages.page(number);
      BtreePage page = index_page(*image, number, pages.usable());
      if (!page.is_interior()) throw Unsure("the tree of a table WITHOUT ROWID is not balanced");
      for (int i = 0; i <= page.cells(); ++i) tree.pages_.push_back(page.child(i));
      if (tree.pages_.size() > limit) return std::nullopt;
    }
    level_start = level_end;
  }
  std::sort(tree.pages_.begin(), tree.pages_.end());
  return tree;
}

bool KeyedTreePages::contains(PageNumber number) const {
  return std::binary_search(pages_.begin(), pages_.end(), number);
}

}  // namespace tidegate::sqlite_wal
