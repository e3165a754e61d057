// Rows that wait to be sent to the target's server many at a time, with the names that people are shown.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "apply/mapping/row_mapper.hpp"
#include "db/postgres.hpp"

namespace tidegate {

struct KeptRow {
  Row row;
  std::string name;
};

// One array for each column of the mapper's plan. Only rows that encode() takes: throws std::logic_error.
std::vector<postgres::Parameter> arrays_of(const RowMapper& mapper, std::span<const KeptRow> rows);

}  // namespace tidegate
