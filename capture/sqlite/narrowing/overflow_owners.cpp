#include "capture/sqlite/narrowing/overflow_owners.hpp"

namespace tidegate::sqlite_wal {

std::optional<OverflowOwners::Owner> OverflowOwners::owner(PageNumber number, SnapshotPages& pages,
                                                           const PageMap& map) const {
  auto hint = hints_.find(number);
  if (hint == hints_.end()) return std::nullopt;
  bool confirmed = false;
  auto chain = map.overflow_of(pages, hint->second.table, hint->second.rowid);
  pages.each_overflow_page(chain, [&](PageNumber page) { confirmed |= page == number; });
  return confirmed ? std::optional(hint->second) : std::nullopt;
}

void OverflowOwners::learn(SnapshotPages& pages, std::size_t table, const BtreePage& leaf,
                           const FrameMap& written) {
  for (int i = 0; i < leaf.cells(); ++i) {
    auto chain = leaf.overflow(i);
    bool known = chain.first == 0 || (hints_.contains(chain.first) && !written.contains(chain.first));
    if (known) continue;
    Owner owner{table, leaf.rowid(i)};
    pages.each_overflow_page(chain, [&](PageNumber number) { remember(number, owner); });
  }
}

void OverflowOwners::remember(PageNumber number, Owner owner) {
  if (hints_.size() < max_hints || hints_.contains(number)) hints_.insert_or_assign(number, owner);
}

void OverflowOwners::forget() {
  hints_.clear();
  in_use_ = false;
}

}  // namespace tidegate::sqlite_wal
