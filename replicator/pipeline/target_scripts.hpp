// The operator's SQL, carried out once in the target: reference data before the first copy ([target] seed),
// policies and the like after the load ([target] post_sql). README.md, "Seed data and post_sql".
#pragma once

#include <string>
#include <vector>

#include "apply/postgres/session.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

// Refuses files that cannot be read, followed, or carried out in one transaction. Asks nothing but the disk.
void require_scripts(const TargetSettings& target);

// Carries out those files that the target's history lacks, each in one target transaction with its row there.
// True where there were some: the session is to be given up then, since what they SET stays in it. Throws
// Refused where a file cannot be read, followed or carried out; nothing of that file stays.
bool run_seeds(TargetSession& session, const std::vector<SqlFile>& files);
// The same; refuses a file that would hide rows of one of the plans' tables from our role.
bool run_post_sql(TargetSession& session, const std::vector<SqlFile>& files,
                  const std::vector<TablePlan>& plans);

// Files that should have been carried out and were not, or were changed since. Writes nothing.
std::vector<Finding> seeds_out_of_step(TargetSession& session, const std::vector<SqlFile>& files);
std::vector<Finding> post_sql_out_of_step(TargetSession& session, const std::vector<SqlFile>& files);

}  // namespace tidegate
