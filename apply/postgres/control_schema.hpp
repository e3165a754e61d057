// The schema `tidegate` in the target: the control row with the position, chunk progress, quarantine and the
// summary that operators read.
#pragma once

#include "db/postgres.hpp"

namespace tidegate {

// Makes what is not there yet, in one transaction of its own. Throws Refused where a newer tidegate made it.
void install_control_schema(postgres::Connection& target);

}  // namespace tidegate
