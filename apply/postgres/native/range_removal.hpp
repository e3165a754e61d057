// A TRUNCATE that only some of a table's chunks were read before: what of the table it takes away. Pure.
#pragma once

#include "apply/chunk_map.hpp"
#include "apply/postgres/native/shape.hpp"
#include "apply/postgres/native/table.hpp"

namespace tidegate::native {

// Deletes the rows whose keys lie in `range`, by the order of the target's key columns.
postgres::Command remove_range(const Table& table, const Shape& shape, const KeyRange& range);

}  // namespace tidegate::native
