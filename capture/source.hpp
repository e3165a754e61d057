// What the pipeline needs from a source, whichever database it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/change.hpp"
#include "proto/table.hpp"
#include "proto/value.hpp"

namespace tidegate {

// Where capture leaves what it found. append() takes part in the caller's open transaction on the state
// database, so that a part is there if and only if the shadow has moved on.
class Outbox {
 public:
  virtual ~Outbox() = default;
  // Returns the sequence number that the part got.
  virtual std::uint64_t append(const TransactionPart& part) = 0;
};

// Rows of one table between two keys, all read at one position.
struct Chunk {
  std::vector<Row> rows;  // in key order, in the layout of the table's Relation
  Row to;  // the last key covered (inclusive); empty: this is the last chunk, covering all after
  std::uint64_t position = 0;  // the journal's last sequence at which `rows` were true
};

// Reads the snapshot chunk by chunk, and single rows again where they are needed once more. Has its own
// connection; used by one thread.
class SnapshotReader {
 public:
  virtual ~SnapshotReader() = default;
  // Rows after `after` (empty: from the first), no more than `max_rows` and about `max_bytes`, into `into`,
  // whose memory is used again. False where so much is not there yet, and more is to come.
  virtual bool read_chunk(const std::string& table, const Row& after, std::size_t max_rows,
                          std::size_t max_bytes, Chunk& into) = 0;
  virtual std::uint64_t count(const std::string& table) = 0;

  struct RowAt {
    std::optional<Row> row;
    std::uint64_t position = 0;
  };
  virtual RowAt read_row(const std::string& table, const Row& key) = 0;
};

}  // namespace tidegate
