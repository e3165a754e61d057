// Reads tables of a Postgres source inside a round's snapshot: how to cut them, then their chunks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capture/postgres/rounds.hpp"
#include "db/error.hpp"
#include "db/postgres.hpp"
#include "proto/key_order.hpp"
#include "proto/value.hpp"

namespace tidegate {

// A table as the snapshot reads it.
struct SnapshotTable {
  std::string name;  // as events and plans name it
  std::string schema, table;
  std::vector<std::string> columns;  // those that are copied, in the order of the plan's columns
  std::vector<std::string> key;  // the identity by which the stream finds rows, in the relation's key order;
                                 // empty: none, or identity FULL
  bool partitioned = false;      // the root, with all partitions; else its children's rows are not its own
};

struct ChunkSize {
  std::uint64_t rows = 100000, bytes = 32 << 20;
};

// How a table is cut.
struct TableSplit {
  bool by_key = false;           // else at once: all chunks in one round
  std::vector<KeyOrder> orders;  // by key: one per key column
  // By key: each chunk's last key, the last one's empty. At once: what identifies the part for read() alone.
  std::vector<Row> up_to;
};

// The table was truncated or rewritten since the round's snapshot, which does not show its rows any more: a
// later round must read it.
class TableRewritten : public Error {
 public:
  using Error::Error;
};

class ChunkReader {
 public:
  explicit ChunkReader(const postgres::ConnectOptions& source);

  // Imports the round's snapshot. Any earlier one is let go.
  void begin(const Round& round);

  // Throws TableRewritten.
  TableSplit split(const SnapshotTable& table, const ChunkSize& size);
  // What each column's binary form is; see db/binary_forms.hpp.
  std::vector<std::string> binary_forms(const SnapshotTable& table);

  // The table's greatest key in the snapshot; empty where it has no key or no row.
  Row last_key(const SnapshotTable& table);

  // One chunk; `up_to` as split() gave it, `after` the one before, empty for the first.
  void open(const SnapshotTable& table, bool by_key, const Row& after, const Row& up_to, bool binary);
  // Appends what came next. False at the end; then the next chunk may be opened. Throws TableRewritten at the
  // end, where what was read is not what the snapshot held.
  bool read(std::string& into);

 private:
  void begin_part();
  void end_part();
  bool rewritten(const SnapshotTable& table);
  bool orders_of(const SnapshotTable& table, std::vector<KeyOrder>& orders);
  std::vector<Row> key_bounds(const SnapshotTable& table, const ChunkSize& size);
  std::vector<Row> page_bounds(const SnapshotTable& table, const ChunkSize& size);

  postgres::Connection connection_;
  std::optional<postgres::Transaction> transaction_;
  const SnapshotTable* open_ = nullptr;
};

}  // namespace tidegate
