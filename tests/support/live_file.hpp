// Files with a writer of their own, as narrowing meets them.
#pragma once

#include <string>

#include "db/sqlite.hpp"
#include "support/scratch.hpp"

namespace tidegate::testing_support {

class LiveFile {
 public:
  const std::string& path() const { return path_; }

 private:
  Scratch scratch_;
  std::string path_ = scratch_.file("app.db");
};

inline sqlite::Database writer_of(const std::string& path) {
  sqlite::Database writer(path, sqlite::Database::Mode::create, std::chrono::milliseconds(5000));
  writer.execute("PRAGMA synchronous = OFF");
  return writer;
}

inline sqlite::Database wal_writer_of(const std::string& path) {
  sqlite::Database writer = writer_of(path);
  writer.execute("PRAGMA journal_mode = WAL");
  return writer;
}

// Two tables: `item` with these columns and that many rows, and `other` with the first 5000 of them.
inline std::string filled(const std::string& columns, int rows) {
  return "CREATE TABLE item(" + columns + "); CREATE TABLE other(id INTEGER PRIMARY KEY, a, b); " +
         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(rows) +
         ") INSERT INTO item SELECT i, 'name of ' || i, hex(zeroblob(40)) FROM n; " +
         "INSERT INTO other SELECT * FROM item LIMIT 5000; ";
}

}  // namespace tidegate::testing_support
