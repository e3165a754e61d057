// Whether a mapped key can be two rows' at once, from the words of its expressions. Pure.
#pragma once

#include "apply/mapping/definition.hpp"
#include "proto/table.hpp"

namespace tidegate {

// True where the output's key holds all columns of something that no two rows of the table share: its primary
// key, or a UNIQUE of columns that are NOT NULL. A column counts where it is passed on, or is by itself an
// argument of uuid() or surrogate(), however deep. Any other key may be two rows': one would take the other's
// place on the target, and its end the other's with it.
bool tells_rows_apart(const MapTarget& target, const SourceTable& table);

}  // namespace tidegate
