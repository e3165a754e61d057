// A Postgres source against its target: hashes of rows, made by both servers at once, narrowed to the rows
// that differ.
#pragma once

#include <memory>
#include <string>

#include "replicator/config/settings.hpp"
#include "replicator/pipeline/apply_hold.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/replicated_tables.hpp"
#include "replicator/verify/prover.hpp"

namespace tidegate::verify {

std::unique_ptr<Prover> make_postgres_prover(const Settings& settings, const std::string& state_path,
                                             Coordination& coordination, const ReplicatedTables& tables,
                                             ApplyHold& hold);

}  // namespace tidegate::verify
