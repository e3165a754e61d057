#include "capture/sqlite/narrowing/narrowing.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tidegate::sqlite_wal {
namespace {

constexpr std::size_t max_written = 500'000;        // pages of one step: some 20 MB
constexpr std::size_t max_kept_frames = 500'000;    // pages of one WAL: some 20 MB
constexpr std::size_t max_keyed_pages = 2'000'000;  // of all tables WITHOUT ROWID: 8 MB

// The parts of page 1 that ordinary writes leave alone: page size to reserved bytes, the schema's cookie and
// format, auto-vacuum and text encoding, and all of sqlite_schema's root.
bool same_schema_page(Bytes before, Bytes after) {
  constexpr std::pair<std::ptrdiff_t, std::ptrdiff_t> fixed[] = {{0, 24}, {40, 48}, {52, 60}, {64, 68}};
  for (auto [from, to] : fixed) {
    if (!std::equal(before.begin() + from, before.begin() + to, after.begin() + from)) return false;
  }
  return std::equal(before.begin() + 100, before.end(), after.begin() + 100);
}

}  // namespace

// The written pages as the older snapshot shows them, so far as they can still be read: all while it is held,
// else those that had a frame in the same WAL.
class OlderPages {
 public:
  OlderPages(sqlite::Database* older, const WalFile& wal, const FrameMap& frames, std::uint32_t page_size)
      : wal_(wal), frames_(frames), page_size_(page_size) {
    if (older) held_.emplace(*older, wal, frames, page_size);
  }

  // False: it did not exist, or is not known.
  bool read(PageNumber number, std::vector<std::uint8_t>& into) {
    into.resize(page_size_);
    if (held_) {
      if (!held_->exists(number)) return false;
      held_->read(number, into);
      return true;
    }
    auto frame = frames_.find(number);
    if (frame == frames_.end()) return false;
    wal_.read_image(frame->second, into);
    return true;
  }

 private:
  const WalFile& wal_;
  const FrameMap& frames_;
  std::uint32_t page_size_;
  std::optional<SnapshotPages> held_;
};

// One step: places each written page in the newer snapshot.
class Narrowing::Step {
 public:
  Step(Narrowing& owner, OlderPages& older, SnapshotPages& newer, const FrameMap& written)
      : owner_(owner), older_(older), pages_(newer), written_(written), free_(newer) {}

  Look run() {
    check_schema();
    for (const auto& [number, frame] : written_) {
      if (number != 1 && pages_.exists(number) && !pages_.is_pointer_map(number)) visit(number);
    }
    look_at_keyed_tables();
    place_overflow();
    remember_overflow();
    look_.tidy();
    return std::move(look_);
  }

 private:
  void check_schema() {
    if (!written_.contains(1)) return;
    auto now = pages_.page(1);
    if (!same_schema_page(owner_.first_page_, *now)) throw Unsure("the schema changed");
    owner_.first_page_ = *now;
  }

  void visit(PageNumber number) {
    image_.resize(pages_.page_size());
    pages_.read(number, image_);
    switch (page_kind(image_, number)) {
      case PageKind::table_leaf:
      case PageKind::table_interior:
        return visit_table_page(number);
      case PageKind::index_leaf:
      case PageKind::index_interior:
        index_pages_.push_back(number);
        return;
      case PageKind::other:
        overflow_.insert(number);
    }
  }

  void visit_table_page(PageNumber number) {
    if (free_.contains(number)) return;  // it only still looks like one
    BtreePage page(image_, number, pages_.usable());
    auto place = owner_.map_->place(pages_, number, page);
    if (!place) throw Unsure("a page of a table's tree is in no table");
    if (page.is_interior()) return visit_interior(*place, page, number);
    add(place->table, place->range);
    table_leaves_.emplace_back(number, place->table);
  }

  void visit_interior(const PageMap::Place& place, const BtreePage& now, PageNumber number) {
    bool known =
        older_.read(number, older_image_) && page_kind(older_image_, number) == PageKind::table_interior;
    if (!known) return add(place.table, place.range);
    BtreePage before(older_image_, number, pages_.usable());
    each_rerouted(before, now, place.range, [&](RowidRange range) { add(place.table, range); });
  }

  void add(std::size_t table, RowidRange range) {
    if (table == 0) throw Unsure("the schema changed");
    look_.add(owner_.map_->tables()[table].name, range);
  }

  // A written page of an index matters only if the index is a table WITHOUT ROWID. A tree that is known from
  // an earlier snapshot is this one's too unless it was written.
  void look_at_keyed_tables() {
    const auto& tables = owner_.map_->tables();
    for (std::size_t i = 0; i < tables.size(); ++i) {
      if (!tables[i].keyed) continue;
      const KeyedTreePages* tree = known_tree(i);
      if (!tree && index_pages_.empty()) continue;
      if (!tree) tree = read_tree(i);
      bool touched = !tree || std::any_of(written_.begin(), written_.end(),
                                          [&](const auto& page) { return tree->contains(page.first); });
      if (!touched) continue;
      look_.add_whole(tables[i].name);
      owner_.keyed_.erase(i);
    }
  }

  const KeyedTreePages* known_tree(std::size_t table) const {
    auto known = owner_.keyed_.find(table);
    return known == owner_.keyed_.end() ? nullptr : &known->second;
  }

  // Null where there are too many pages to keep.
  const KeyedTreePages* read_tree(std::size_t table) {
    std::size_t kept = 0;
    for (const auto& [other, tree] : owner_.keyed_) kept += tree.size();
    auto tree = KeyedTreePages::of(pages_, owner_.map_->tables()[table].root, max_keyed_pages - kept);
    return tree ? &owner_.keyed_.insert_or_assign(table, std::move(*tree)).first->second : nullptr;
  }

  // Overflow pages: first those of rows and index entries whose own page was written as well (an insert, a
  // delete, or another size), then by hint, then by reading the tables' leaves.
  void place_overflow() {
    std::erase_if(overflow_, [this](PageNumber number) { return free_.contains(number); });
    for (const auto& [number, table] : table_leaves_) explain_by(number);
    for (PageNumber number : index_pages_) {
      // A free page still shows its old cells, and the pages that they name may be another row's now.
      if (!overflow_.empty() && !free_.contains(number)) explain_by(number);
    }
    std::erase_if(overflow_, [this](PageNumber number) { return add_owner_of(number); });
    if (!overflow_.empty()) scan_for_owners();
  }

  void explain_by(PageNumber number) {
    if (overflow_.empty()) return;
    pages_.read(number, image_);
    BtreePage page(image_, number, pages_.usable());
    for (int i = 0; i < page.cells() && !overflow_.empty(); ++i) {
      pages_.each_overflow_page(page.overflow(i), [this](PageNumber found) { overflow_.erase(found); });
    }
  }

  bool add_owner_of(PageNumber number) {
    auto owner = owner_.owners_.owner(number, pages_, *owner_.map_);
    if (owner) add(owner->table, {owner->rowid, owner->rowid});
    return owner.has_value();
  }

  void scan_for_owners() {
    owner_.owners_.scan(pages_, *owner_.map_, overflow_, [this](OverflowOwners::Owner owner) {
      add(owner.table, {owner.rowid, owner.rowid});
    });
    const auto& tables = owner_.map_->tables();
    for (std::size_t i = 0; i < tables.size() && !overflow_.empty(); ++i) {
      if (tables[i].keyed) scan_keyed(i);
    }
    // What is left now is in no row's chain: an index entry's, moved by auto-vacuum.
  }

  void scan_keyed(std::size_t table) {
    const KeyedTreePages* tree = known_tree(table);
    if (!tree) tree = read_tree(table);
    if (!tree) throw Unsure("a table WITHOUT ROWID is too large to search for an overflow page");
    std::size_t wanted = overflow_.size();
    for (PageNumber number : tree->pages()) explain_by(number);
    if (overflow_.size() < wanted) look_.add_whole(owner_.map_->tables()[table].name);
  }

  // New hints, once hints were needed at all.
  void remember_overflow() {
    if (!owner_.owners_.in_use()) return;
    for (const auto& [number, table] : table_leaves_) {
      pages_.read(number, image_);
      owner_.owners_.learn(pages_, table, BtreePage(image_, number, pages_.usable()), written_);
    }
  }

  Narrowing& owner_;
  OlderPages& older_;
  SnapshotPages& pages_;
  const FrameMap& written_;
  FreePages free_;
  Look look_;
  std::vector<std::uint8_t> image_, older_image_;
  std::vector<std::pair<PageNumber, std::size_t>> table_leaves_;  // and the table
  std::vector<PageNumber> index_pages_;
  std::set<PageNumber> overflow_;
};

namespace {

// The index of a WAL without any frame yet may not know the page size (nor salts, which then are others than
// those of the frames to come); the file does.
WalPosition with_page_size(sqlite::Database& snapshot, WalPosition position) {
  if (position.frame != 0 || position.page_size != 0) return position;
  std::array<std::uint8_t, 2> stored;
  if (!snapshot.read_file(16, stored.data(), stored.size())) return position;
  position.page_size = big_endian16(stored, 0);
  if (position.page_size == 1) position.page_size = 65536;
  return position;
}

}  // namespace

void Narrowing::start(sqlite::Database& snapshot, const WalPosition& published) {
  stop();
  WalPosition position = with_page_size(snapshot, published);
  if (too_long_ && too_long_->same_wal(position)) return;
  try {
    begin_at(snapshot, position);
  } catch (const Unsure&) {
    stop();  // so the next advance() looks everywhere and tries again
    if (WalFile::was_reset(path_, position)) start_without_wal(snapshot, position);
  }
}

// The WAL was reset although `snapshot` stands in it, so that snapshot reads the file alone.
void Narrowing::start_without_wal(sqlite::Database& snapshot, const WalPosition& position) {
  WalPosition no_frames = position;
  no_frames.frame = 0;
  try {
    begin_at(snapshot, no_frames);
    at_ = position;
  } catch (const Unsure&) {
    stop();
  }
}

void Narrowing::begin_at(sqlite::Database& snapshot, const WalPosition& position) {
  WalFile wal(path_, position);
  wal.each_frame(1, [&](std::uint32_t frame, PageNumber number) {
    frames_[number] = frame;
    if (frames_.size() > max_kept_frames) {
      too_long_ = position;
      throw Unsure("the WAL holds too many pages");
    }
  });
  SnapshotPages pages(snapshot, wal, frames_, position.page_size);
  map_.emplace(tables_of(snapshot, pages));
  first_page_ = *pages.page(1);
  wal.check_header();  // a snapshot that reads the file alone does not keep the WAL from being reset
  at_ = position;
}

void Narrowing::stop() {
  at_.reset();
  frames_.clear();
  map_.reset();
  owners_.forget();
  keyed_.clear();
}

Look Narrowing::advance(sqlite::Database* older, sqlite::Database& newer, const WalPosition& position) {
  std::string reason = "no earlier snapshot to narrow from";
  try {
    if (at_) return step(older, newer, with_page_size(newer, position));
  } catch (const Unsure& unsure) {
    reason = unsure.what();
  } catch (...) {
    stop();
    throw;
  }
  start(newer, position);
  return Look::at_everything(reason);
}

Look Narrowing::step(sqlite::Database* older, sqlite::Database& newer, const WalPosition& to) {
  WalPosition from = *at_;
  if (to == from) return {};  // and the WAL may be reset at any time: the file is not to be read
  bool same_wal = from.same_wal(to);
  if (from.page_size != to.page_size) throw Unsure("the page size changed");
  if (!same_wal && !older) throw Unsure("the WAL was reset while no snapshot was held");
  WalFile wal(path_, to);
  if (same_wal) wal.check_holds(from);
  if (!same_wal) frames_.clear();  // a reset under the older snapshot: the file holds all that it sees
  FrameMap written = written_since(wal, same_wal ? from.frame + 1 : 1);
  FrameMap displaced = replace_frames(written);
  Look look;
  if (!written.empty()) {
    OlderPages before(older, wal, displaced, to.page_size);
    SnapshotPages now(newer, wal, frames_, to.page_size);
    look = Step(*this, before, now, written).run();
    wal.check_header();  // not needed while a snapshot holds the WAL; else it may have been reset meanwhile
  }
  at_ = to;
  if (too_long_ == to) stop();
  return look;
}

// Brings frames_ forward. Returns the frames that the written pages had before, and that of page 1.
FrameMap Narrowing::replace_frames(const FrameMap& written) {
  FrameMap displaced;
  if (auto first = frames_.find(1); first != frames_.end()) displaced.insert(*first);
  for (const auto& [number, frame] : written) {
    auto [known, is_new] = frames_.try_emplace(number, frame);
    if (is_new) continue;
    displaced.try_emplace(number, known->second);
    known->second = frame;
  }
  return displaced;
}

FrameMap Narrowing::written_since(const WalFile& wal, std::uint32_t first) const {
  FrameMap written;
  wal.each_frame(first, [&](std::uint32_t frame, PageNumber number) {
    written[number] = frame;
    if (written.size() > max_written) throw Unsure("too many pages were written");
  });
  return written;
}

}  // namespace tidegate::sqlite_wal
