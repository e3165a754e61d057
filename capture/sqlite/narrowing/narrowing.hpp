// From the pages that were written between two read snapshots to the rows that may differ. README.md proves
// it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "capture/sqlite/narrowing/overflow_owners.hpp"
#include "capture/sqlite/narrowing/page_sets.hpp"

namespace tidegate::sqlite_wal {

class Narrowing {
 public:
  explicit Narrowing(std::string database_path) : path_(std::move(database_path)) {}

  // Begins at a snapshot. Reads the frame headers of the WAL so far, page 1 and the tables' roots.
  void start(sqlite::Database& snapshot, const WalPosition& position);
  // Knows nothing any more: the next advance() looks everywhere.
  void stop();
  // The rows that may differ between the snapshot of the last start() or advance() and that of `newer`, which
  // stands exactly at `position`. `older` still holds the former open; null: no snapshot was held in between,
  // which is good for as long as the WAL was not reset. Every doubt answers everything, with the reason, and
  // starts afresh at `newer`.
  Look advance(sqlite::Database* older, sqlite::Database& newer, const WalPosition& position);
  bool started() const { return at_.has_value(); }

 private:
  class Step;
  Look step(sqlite::Database* older, sqlite::Database& newer, const WalPosition& to);
  FrameMap replace_frames(const FrameMap& written);
  FrameMap written_since(const WalFile& wal, std::uint32_t first) const;
  void start_without_wal(sqlite::Database& snapshot, const WalPosition& position);
  void begin_at(sqlite::Database& snapshot, const WalPosition& position);

  std::string path_;
  std::optional<WalPosition> at_;        // nothing: not started
  std::optional<WalPosition> too_long_;  // a WAL of more pages than are kept: not tried again until its reset
  FrameMap frames_;                      // of at_'s WAL, up to at_
  std::vector<std::uint8_t> first_page_;  // as at at_
  std::optional<PageMap> map_;
  OverflowOwners owners_;
  std::map<std::size_t, KeyedTreePages> keyed_;  // by index of table; not there: must be read again
};

}  // namespace tidegate::sqlite_wal
