// Which values came more than once, and which have no counterpart: over any number of rows, in a temporary
// file that goes with the object. Holds digests of the values, and the keys of their rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/sqlite.hpp"

namespace tidegate {

class SeenValues {
 public:
  SeenValues();

  // One value of the set; `row` is the key of its row, as people are shown it.
  void add(std::int64_t set, const std::string& value, const std::string& row);

  struct Found {
    std::uint64_t values = 0;
    std::vector<std::string> rows;  // of the first few
  };
  // Nothing is added after one of these.
  Found repeated(std::int64_t set);
  Found without(std::int64_t set,
                std::int64_t counterpart);  // those of `set` that `counterpart` does not have

 private:
  Found read(const std::string& count_sql, const std::string& rows_sql);
  void finish();

  sqlite::Database database_;
  sqlite::Transaction transaction_;
  std::optional<sqlite::Statement> insert_;
};

}  // namespace tidegate
