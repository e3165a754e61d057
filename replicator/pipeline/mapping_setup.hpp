// The mapping of a pipeline, from its settings.
#pragma once

#include "apply/mapping/mapping.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {

// With the source's full table names.
std::vector<MapDefinition> maps_of(const Settings& settings);
MappingOptions mapping_options(const Settings& settings);

// As the events of a SQLite table describe its rows, and those of a Postgres table under its identity.
Relation relation_of(const SourceTable& table);

// Adds a plan for each mapped relation, and what is to be known of it. `mapped`: the tables that some map
// reads, with their measures. Throws Refused, with the place in the file, for what cannot be compiled.
void plan_maps(PlannedPipeline& planned, const std::vector<FilledTable>& mapped, const Settings& settings);
bool is_mapped(const std::vector<MapDefinition>& maps, const std::string& table);

}  // namespace tidegate
