// Rows of a source's table, one after the other, as the maps see them. Reads only.
#pragma once

#include <cstdint>
#include <functional>

#include "proto/change.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

inline constexpr std::int64_t all_rows = -1;

// The columns that `relation` names, of at most `count` rows of one state of the table, in no particular
// order. A row is valid during the call only. Throws Refused "wal-needed" as capture::read_live() does.
void each_source_row(const Settings& settings, const Relation& relation, std::int64_t count,
                     const std::function<void(const Row&)>& give);

}  // namespace tidegate
