// What became of a mapped table of a Postgres source: of its columns only those count that its maps read.
// Pure.
#pragma once

#include <vector>

#include "apply/mapping/definition.hpp"
#include "replicator/pipeline/schema_drift.hpp"

namespace tidegate {

// As standing(), for any table. Never `wait` for a mapped one: new columns change nothing of what its maps
// make. A doubt names the place in the file that reads what changed.
Standing standing(const std::vector<MapDefinition>& maps, const capture::PostgresTable& known,
                  const capture::PostgresTable* now);

// Does the stream describe as before all that the table's maps read, and how its rows are told apart?
bool maps_read_the_same(const std::vector<MapDefinition>& maps, const RelationChanged& change);

}  // namespace tidegate
