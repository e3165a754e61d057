#include "apply/postgres/replica_mode.hpp"

#include "db/error.hpp"

namespace tidegate {

bool try_replica_mode(postgres::Connection& connection) {
  try {
    // Supabase allows the plain SET only; set_config() and start-up options are refused there.
    connection.run("SET session_replication_role = replica");
    return true;
  } catch (const Error& error) {
    if (error.code() != "42501") throw;
    return false;
  }
}

bool may_set_replica_mode(postgres::Connection& connection) {
  if (!try_replica_mode(connection)) return false;
  connection.run("SET session_replication_role = origin");
  return true;
}

}  // namespace tidegate
