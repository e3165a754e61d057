// What Postgres capture keeps in state.db beside the outbox: how far it is, and which shapes of tables the
// relation ids in the outbox stand for. Written within the caller's transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capture/postgres/assembler.hpp"
#include "db/sqlite.hpp"

namespace tidegate {

class CaptureState {
 public:
  // Makes the tables where they are not there yet.
  explicit CaptureState(sqlite::Database& state);

  // What is journalled.
  struct Held {
    std::string system_identifier, slot;
    std::uint32_t timeline = 0;
    std::uint64_t end_lsn = 0, last_transaction = 0, last_sequence = 0;
  };
  std::optional<Held> held();  // nothing before the first run
  void save(const Held& held);

  // The id of this shape, from now on the last one of its table.
  std::uint32_t relation_id(const RelationShape& shape);
  std::optional<RelationShape> last_shape(std::uint32_t oid);
  // The last shape of each table that had changes.
  std::vector<RelationShape> last_shapes();

 private:
  sqlite::Database& state_;
};

}  // namespace tidegate
