// The schema `tidegate` in the target: the control row with the position, chunk progress, quarantine and the
// summary that operators read.
#pragma once

#include <string>

#include "db/postgres.hpp"

namespace tidegate {

// Makes what is not there yet, in one transaction of its own. Throws Refused where a newer tidegate made it.
void install_control_schema(postgres::Connection& target);

// The statements that do so, for a transaction on another connection; empty where all is there. `look` only
// reads. Throws as above.
std::string control_schema_sql(postgres::Connection& look);

}  // namespace tidegate
