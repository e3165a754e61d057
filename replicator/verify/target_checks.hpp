// What is wrong on the target beside its rows: references that lead nowhere, sequences that would give keys
// out again, columns and objects that are not as planned, the operator's own rules.
#pragma once

#include <string>
#include <vector>

#include "apply/net_changes.hpp"
#include "db/postgres.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/verify/store.hpp"

namespace tidegate::verify {

// Reads within the connection's snapshot. A rule that the server does not understand is a remark of its own;
// its failed statement is undone by a savepoint.
std::vector<Remark> check_target(postgres::Connection& target, const std::string& pipeline,
                                 const Plans& plans, const std::vector<Check>& checks);

}  // namespace tidegate::verify
