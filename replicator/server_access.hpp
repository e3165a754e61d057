// The first connection to a server, and what its failure means to an operator.
#pragma once

#include "db/postgres.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/failure.hpp"

namespace tidegate {

postgres::ConnectOptions connect_options(const Settings& settings, const std::string& application_name);
// Of a source that is a Postgres server.
postgres::ConnectOptions source_options(const Settings& settings, const std::string& application_name);

// Throws std::runtime_error that is Told: a wrong password, a name that is not there, a certificate, or a
// server that cannot be reached now (code 08001, 53300 or 57P03: may_pass() says so).
postgres::Connection connect_target(const postgres::ConnectOptions& options);
postgres::Connection connect_source(const postgres::ConnectOptions& options);
bool may_pass(const Told& failure);

// From libpq's words: "connect to HOST:PORT/DB as USER: …". Pure.
Told connect_failure(const std::string& words, const std::string& side = "target");

}  // namespace tidegate
