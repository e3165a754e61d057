// Single rows of a Postgres source, read again by their key.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/postgres/catalog.hpp"
#include "proto/change.hpp"

namespace tidegate {

// As the stream would send it; nothing where it is not there. `relation` names the columns to read and the
// key.
std::optional<Row> read_source_row(postgres::Connection& source, const capture::PostgresTable& table,
                                   const Relation& relation, const Row& key);

}  // namespace tidegate
