// The statements by which two Postgres servers say what their rows are, without sending them: hashes of what
// the rows print as. Either end gets the same expressions over its own names. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/value.hpp"

namespace tidegate::verify {

// A table as one end names it. Columns and key of both ends stand in the same order.
struct ChecksumTable {
  std::string from;                  // quoted; with ONLY where children are tables of their own
  std::vector<std::string> columns;  // quoted
  std::vector<std::string> key;      // quoted; empty: a row is its own key
};

// Rows that are looked at: of a range of the first key column, or a sample.
struct ChecksumScope {
  std::string after, up_to;  // integers; empty: unbounded
  std::uint64_t one_in = 1;  // of so many rows one, the same on both ends
};

inline constexpr int groups = 1024;  // of keys, by their hash

class Checksums {
 public:
  // `same_encoding`: both servers keep texts as the same bytes, else they are hashed as UTF-8.
  Checksums(ChecksumTable table, ChecksumScope scope, bool same_encoding)
      : table_(std::move(table)), scope_(std::move(scope)), same_encoding_(same_encoding) {}

  std::string count() const;     // rows
  std::string total() const;     // rows, sum of hashes
  std::string by_group() const;  // group, rows, sum of hashes
  // Of rows in these groups: the key's columns, hash of the row. Of a table without a key: hash, how often.
  std::string rows_of(const std::vector<int>& groups) const;
  // The key's columns, then a hash of each column, for the rows with these keys.
  std::string columns_of(const std::vector<Row>& keys) const;

 private:
  std::string hash(const std::string& text, int seed) const;
  std::string row_hash() const;
  std::string key_hash() const;
  std::string where(const std::string& more = "") const;

  ChecksumTable table_;
  ChecksumScope scope_;
  bool same_encoding_;
};

}  // namespace tidegate::verify
