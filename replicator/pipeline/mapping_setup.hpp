// The mapping of a pipeline, from its settings.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/functions/temporary_password.hpp"
#include "apply/mapping/keys/key_memory.hpp"
#include "apply/mapping/mapping.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {

// With the source's full table names.
std::vector<MapDefinition> maps_of(const Settings& settings);
std::vector<AuthPreset> presets_of(const Settings& settings);
// Absent where there is no secret.
std::optional<TemporaryPasswords> temporary_passwords(const Settings& settings);
// All that decides what rows become. Equal texts give equal rows; it holds no secret, but tells one from
// another.
std::string mapping_text(const Settings& settings);
// `memory`: none where nothing is written.
MappingOptions mapping_options(const Settings& settings, std::shared_ptr<KeyAnswers> memory);
// keys.db; nothing where there is no mapping. Draws its numbers on a connection of its own.
std::shared_ptr<KeyMemory> make_key_memory(const Settings& settings, const std::string& path);

// The same file as it is now, for who only looks; nothing where there is no mapping.
std::shared_ptr<KeyAnswers> remembered_keys(const Settings& settings);

// As events describe its rows. `published`: by a Postgres server, which leaves generated columns out.
Relation relation_of(const SourceTable& table, bool published);

// Adds a plan for each mapped relation, and what is to be known of it. `mapped`: the tables that some map
// reads, with their measures. Throws Refused, with the place in the file, for what cannot be compiled.
void plan_maps(PlannedPipeline& planned, const std::vector<FilledTable>& mapped, const Settings& settings);
bool is_mapped(const std::vector<MapDefinition>& maps, const std::string& table);
// Throws Refused where the target's keys read more of a Postgres table than names its rows.
void check_keys(const MappedTable& compiled, const SourceTable& table);
// What makes the relation of this plan; `maps` must outlive it. Throws Error where the mapping has none such.
MapOutput output_named(const std::vector<MapDefinition>& maps, const TablePlan& plan);

}  // namespace tidegate
