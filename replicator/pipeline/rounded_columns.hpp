// Columns of a server's tables that a map passes on into a type which would round or cut their values, and
// say nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "replicator/pipeline/planning.hpp"

namespace tidegate {

// How a column of type `to` would change what one of type `from` holds; empty where it takes it as it is, or
// refuses what it cannot take. Types as the server prints them ("numeric(10,2)"). Pure.
std::string_view silent_change(const std::string& from, const std::string& to);

// Each blocks. Tables that are not in the target are passed over.
std::vector<Finding> find_rounded(postgres::Connection& target, const Settings& settings,
                                  const PlannedPipeline& planned);

}  // namespace tidegate
