// What is kept of the source's tables and enums from one run to the next, so that a change that nobody saw is
// found.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "capture/postgres/catalog.hpp"
#include "capture/postgres/enums.hpp"

namespace tidegate {

// That part of the tables with which standing() compares.
std::string known_to_json(const std::vector<capture::PostgresTable>& tables);
std::vector<capture::PostgresTable> known_from_json(std::string_view text);
std::string enums_to_json(const std::vector<capture::EnumType>& types);
std::vector<capture::EnumType> enums_from_json(std::string_view text);

}  // namespace tidegate
