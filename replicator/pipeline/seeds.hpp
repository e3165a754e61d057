// Reference data that is written into the target once, before the first copy. README.md, "Seed data".
#pragma once

#include <string>
#include <vector>

#include "apply/postgres/session.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

// Carries out those files that the target's history lacks, each in one target transaction with its row there.
// Throws Refused where a file cannot be read, followed or carried out; nothing of that file stays.
void run_seeds(TargetSession& session, const std::vector<SeedFile>& files);

// Files that should have been carried out and were not, or were changed since. Writes nothing.
std::vector<Finding> seeds_out_of_step(TargetSession& session, const std::vector<SeedFile>& files);

}  // namespace tidegate
