// The foreign keys that a Postgres source declares.
#pragma once

#include <string>
#include <vector>

#include "db/postgres.hpp"
#include "proto/table.hpp"

namespace tidegate::capture {

struct DeclaredReference {
  std::string child;     // "schema.name", as PostgresTable::source
  SourceForeignKey key;  // its parent likewise
};

// All of the database but those of single partitions, by child and constraint name.
std::vector<DeclaredReference> read_foreign_keys(postgres::Connection& source);

}  // namespace tidegate::capture
