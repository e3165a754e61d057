// Single rows of a Postgres source, read again by their key.
#pragma once

#include <cstdint>
#include <optional>

#include "capture/postgres/catalog.hpp"
#include "db/error.hpp"
#include "proto/change.hpp"

namespace tidegate {

// As the stream would send it; nothing where it is not there. `relation` names the columns to read and the
// key.
std::optional<Row> read_source_row(postgres::Connection& source, const capture::PostgresTable& table,
                                   const Relation& relation, const Row& key);

// For the handler of what reads a table's columns by name. One that is gone by now is seen in the catalogue
// within seconds, and is worth another try; other errors are thrown on.
[[noreturn]] void rethrow_unless_altered(const Error& error, const std::string& table);

}  // namespace tidegate
