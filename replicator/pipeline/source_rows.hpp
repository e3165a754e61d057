// Single rows of a Postgres source, read again by their key.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/postgres/catalog.hpp"
#include "proto/change.hpp"

namespace tidegate {

// The row as the stream would send it, and a place in the log behind everything that it shows.
struct SourceRow {
  std::optional<Row> row;
  std::uint64_t lsn = 0;
};

// `relation` names the columns to read and the key. Throws Error.
SourceRow read_source_row(postgres::Connection& source, const capture::PostgresTable& table,
                          const Relation& relation, const Row& key);

}  // namespace tidegate
