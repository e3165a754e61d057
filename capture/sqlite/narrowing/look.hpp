// Where a compare of live file and shadow has to look. It may name more than has changed, never less.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace tidegate::sqlite_wal {

// Something that narrowing cannot be certain of. Not a failure: whoever meets it looks everywhere.
struct Unsure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Both ends belong to it.
struct RowidRange {
  std::int64_t first = std::numeric_limits<std::int64_t>::min();
  std::int64_t last = std::numeric_limits<std::int64_t>::max();
  bool operator==(const RowidRange&) const = default;
};

struct TableLook {
  bool whole = false;
  std::vector<RowidRange> ranges;  // empty when whole
};

// Tables that are not named have not changed. Names are those of sqlite_schema, SQLite's own tables
// (sqlite_sequence, sqlite_stat1) included. A table WITHOUT ROWID is always whole.
struct Look {
  bool everything = false;  // all tables whole, and the schema may have changed; `tables` is empty
  std::string reason;       // why everything, for logs and status
  std::map<std::string, TableLook> tables;

  static Look at_everything(std::string reason);
  bool nowhere() const { return !everything && tables.empty(); }
  void add(const std::string& table, RowidRange range);
  void add_whole(const std::string& table);
  // Sorts and merges ranges. A table with more than `max_ranges` becomes whole.
  void tidy(std::size_t max_ranges = 100'000);
  // Afterwards this one covers what both covered.
  void unite(const Look& other);
};

}  // namespace tidegate::sqlite_wal
