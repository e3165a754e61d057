// A database for as long as somebody looks: private, and without a name as soon as it is open, so that
// nothing is left of it, whatever happens.
#pragma once

#include <string>

#include "db/sqlite.hpp"

namespace tidegate {

// `schema`: statements that make its tables. Throws Error where no temporary file can be made.
sqlite::Database nameless_database(const std::string& schema);

}  // namespace tidegate
