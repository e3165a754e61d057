// Rows on their way into legacy tables within one transaction, whatever stands in their way meanwhile.
// README.md, "How rows are written".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apply/sqlite/legacy_file.hpp"
#include "apply/sqlite/legacy_table.hpp"

namespace tidegate {

struct LegacyWrite {
  LegacyTable* table;
  Row key;                      // as the target names the row now: so a reject is called
  std::optional<Row> found_by;  // and under which it may have been called before
  std::optional<LegacyTable::Held> held;
  Row values = {};                        // in the layout of the table's columns
  std::vector<std::size_t> changed = {};  // places; of a row that is held
};

class LegacyWrites {
 public:
  // `sequence`: where the stream stands.
  LegacyWrites(LegacyFile& file, std::uint64_t sequence) : file_(file), sequence_(sequence) {}

  // Writes the row, or lays it aside where a unique value keeps it out; what other rules refuse is a reject.
  void put(LegacyWrite write);
  // What lies at its place belongs to another row, which has not moved yet.
  void put_aside(LegacyWrite write) { aside_.push_back(std::move(write)); }
  // Puts in together what was laid aside; what clashes even so is a reject.
  void settle();
  // Names a row that does not fit. `column` may be empty.
  void reject(const LegacyWrite& write, const std::string& column, const std::string& reason);

 private:
  std::optional<std::size_t> put_together(std::string& why);
  void done(const LegacyWrite& write);

  LegacyFile& file_;
  std::uint64_t sequence_;
  std::vector<LegacyWrite> aside_;
};

}  // namespace tidegate
