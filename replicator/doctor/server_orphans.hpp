// Rows of a Postgres source whose parent is not there: a foreign key that was added NOT VALID says nothing of
// older rows, and what is written in replica mode, or while triggers are off, is checked by none.
#pragma once

#include <vector>

#include "apply/plan.hpp"
#include "capture/postgres/catalog.hpp"
#include "db/postgres.hpp"
#include "replicator/pipeline/source_orphans.hpp"

namespace tidegate {

// Those that the source declares, between tables of `tables`.
std::vector<Reference> declared_references(postgres::Connection& source,
                                           const std::vector<capture::PostgresTable>& tables);

// Warns of each reference that some rows break, with how many and the first keys; a look that takes longer
// than a minute is ended, and the finding says so. Names are the source's.
std::vector<Finding> find_orphans(postgres::Connection& source,
                                  const std::vector<capture::PostgresTable>& tables,
                                  const std::vector<Reference>& references);

}  // namespace tidegate
