// [[map]] of the file.
#pragma once

#include "apply/mapping/definition.hpp"
#include "replicator/config/section.hpp"

namespace tidegate {

// Throws Usage for what is missing or of the wrong kind. What only the two databases can tell is checked
// later.
MapDefinition read_map(Section& section);

}  // namespace tidegate
