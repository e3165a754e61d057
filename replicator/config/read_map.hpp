// [[map]] of the file.
#pragma once

#include <vector>

#include "apply/mapping/definition.hpp"
#include "apply/mapping/presets/supabase_auth.hpp"
#include "replicator/config/section.hpp"

namespace tidegate {

// Throws Usage for what is missing or of the wrong kind. What only the two databases can tell is checked
// later.
// What a preset makes comes before the map's own targets; the preset itself is added to `presets`.
MapDefinition read_map(Section& section, std::vector<AuthPreset>& presets);

// Once all are read. Presets that fill one table together are told apart.
void expand_again_where_several(std::vector<MapDefinition>& maps, std::vector<AuthPreset>& presets);

}  // namespace tidegate
