// What a TRUNCATE of the source removes from the target while chunks of the table were read at different
// times.
#pragma once

#include <string>
#include <vector>

#include "apply/chunk_map.hpp"
#include "apply/plan.hpp"

namespace tidegate {

// DELETE of the rows whose key lies in the range. `key` and `orders` as ChunkMap::key_of_table() gives them;
// a table without any has one range, which is all of it. Pure.
std::string delete_range_sql(const TablePlan& plan, const ChunkMap::Key& key, const KeyRange& range);

}  // namespace tidegate
