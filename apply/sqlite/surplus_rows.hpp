// Rows of a legacy table that the target does not have: those that are left once each of the target's rows
// was named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "apply/sqlite/legacy_file.hpp"
#include "apply/sqlite/legacy_table.hpp"

namespace tidegate {

// The legacy row that the target means by this key (its texts, in the order of `table.key()`), and no other:
// under NOCASE, 'A' finds 'a'.
std::optional<LegacyTable::Held> find_by_target_key(LegacyTable& table, const ReverseTable& plan,
                                                    const Row& key);

class SurplusRows {
 public:
  // `file` has begun; `key`: places in `table.columns` by which the target names rows. What was named is
  // noted in a temporary table of the connection, so that memory does not grow with the table.
  SurplusRows(LegacyFile& file, const ReverseTable& table, std::vector<std::size_t> key);

  void target_has(const Row& key);
  // It stays, though the target does not have it.
  void keep(const LegacyTable::Held& row);
  // Takes the others out of the legacy table, in one transaction; how many. The last call.
  std::int64_t remove();

 private:
  LegacyFile& file_;
  const ReverseTable& table_;
  LegacyTable legacy_;
  std::optional<sqlite::Transaction> noting_;
  std::optional<sqlite::Statement> note_;
};

}  // namespace tidegate
