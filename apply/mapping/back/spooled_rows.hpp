// Rows that are kept on disk for a while, each once: where their number is that of a table's. Used by one
// thread.
#pragma once

#include <cstddef>
#include <vector>

#include "db/sqlite.hpp"
#include "proto/change.hpp"

namespace tidegate {

class SpooledRows {
 public:
  SpooledRows();

  void add(const Row& row);
  bool has(const Row& row);
  // The next of them, in the order in which they came, at most so many; empty after the last.
  std::vector<Row> take(std::size_t most);

 private:
  sqlite::Database spool_;
  sqlite::Statement add_, has_, take_;
  std::int64_t taken_ = 0;
};

}  // namespace tidegate
