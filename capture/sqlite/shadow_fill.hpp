// The first fill of the shadow, from one read snapshot of the live file. A table whose rows come in the order
// of the shadow's key is filled in steps, each a transaction of the state database, so that its first rows
// can be copied on while the others come; any other table in one. A crash leaves whole steps, and the next
// fill goes on behind them.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "capture/sqlite/measuring.hpp"
#include "capture/sqlite/shadow.hpp"

namespace tidegate {

class ShadowFill {
 public:
  ShadowFill(sqlite::Database& state, const ReadProgress& progress) : state_(state), progress_(progress) {}

  void fill(sqlite::Database& live, const ShadowTable& table);

  // What fill() would read, and its second half. Throws wal_needed() where that takes more than `memory`, of
  // which it takes its part.
  std::vector<PlacedRow> read_all(sqlite::Database& live, const ShadowTable& table, std::size_t& memory);
  void fill(const ShadowTable& table, const std::vector<PlacedRow>& rows);

 private:
  // Binds the next row to the insert. Its size in bytes; nothing at the end.
  using NextRow = std::function<std::optional<std::size_t>(sqlite::Statement& insert)>;
  void write(const ShadowTable& table, const NextRow& next);
  sqlite::Statement rows_left(sqlite::Database& live, const ShadowTable& table);

  sqlite::Database& state_;
  const ReadProgress& progress_;
};

}  // namespace tidegate
