// What a target's server is, and what that means for a run, a backup and the way back.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "capture/postgres/watch.hpp"
#include "db/postgres.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

struct TargetServerFacts {
  capture::ServerFacts server;
  std::string encoding;
  bool may_replicate = false;
  std::string backup_obstacle;  // why no backup could be taken; empty: pg_dump is there and new enough
};

TargetServerFacts read_target_server(postgres::Connection& target, const Settings& settings);

std::vector<Finding> findings_of(const TargetServerFacts& facts);  // pure

// A server's objects may be newer than what the target understands. Versions as libpq has them. Pure.
std::vector<Finding> version_findings(int source, int target);

// Triggers of others on the plans' tables that act on what tidegate writes, and policies that hide rows from
// its role. `replica_mode`: the role may set it, which keeps ordinary triggers quiet.
std::vector<Finding> find_what_acts(postgres::Connection& target, const std::vector<TablePlan>& plans,
                                    bool replica_mode);

}  // namespace tidegate
