// Who owns the rows of a target table that several maps fill. Pure.
#pragma once

#include <vector>

#include "apply/mapping/definition.hpp"

namespace tidegate {

// Throws Refused where two owners do not say which rows are whose, or a contributor has no owner.
void check_owners(const std::vector<MapDefinition>& maps);

}  // namespace tidegate
