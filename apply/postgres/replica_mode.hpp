// session_replication_role: in mode `replica` ordinary triggers and foreign keys are quiet.
#pragma once

#include "db/postgres.hpp"

namespace tidegate {

// Sets it for the session. False where the role may not. Outside of a transaction only, which that would end.
bool try_replica_mode(postgres::Connection& connection);
// Whether it could; the session is as it was.
bool may_set_replica_mode(postgres::Connection& connection);

}  // namespace tidegate
