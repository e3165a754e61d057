// preset = "supabase-auth" of a [[map]].
#pragma once

#include <optional>

#include "apply/mapping/presets/supabase_auth.hpp"
#include "replicator/config/section.hpp"

namespace tidegate {

// Nothing where the section has no preset. `map`: what was read of it before. Its keys are known only
// together with it. Throws Usage for what is missing or of the wrong kind.
std::optional<AuthPreset> read_preset(Section& section, const MapDefinition& map);

}  // namespace tidegate
