// What lies between us and a server: whose clock it keeps, who passes our words on, and who could listen.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

struct ServerLink {
  double clock_ahead = 0;  // seconds by which its clock is ahead of ours; the round trip is counted out
  bool behind_pooler = false;
  bool is_local = false;  // loopback or a Unix socket
  bool encrypted = false;
  bool checks_certificate = false;
};

ServerLink read_link(postgres::Connection& server, const Endpoint& end, const std::string& ca_file);

// Pure. `side`: "source" or "target".
std::vector<Finding> findings_of(const ServerLink& link, const std::string& side);

}  // namespace tidegate
