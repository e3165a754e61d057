// Which columns two servers can exchange in binary COPY.
#pragma once

#include <string>
#include <vector>

#include "db/postgres.hpp"

namespace tidegate::postgres {

// For each column what its binary form is: equal names mean that one server reads what the other sends. Empty
// where the form is the server's own (OIDs inside, or a type that came with an extension), or the column is
// not there.
std::vector<std::string> binary_forms(Connection& server, const std::string& schema, const std::string& table,
                                      const std::vector<std::string>& columns);

}  // namespace tidegate::postgres
