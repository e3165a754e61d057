// The files that `init` writes. Pure.
#pragma once

#include <string>
#include <vector>

#include "replicator/config/url.hpp"

namespace tidegate::cli {

std::string draft_config(const Endpoint& source, const std::vector<std::string>& tables);
std::string draft_environment(const Endpoint& source);

}  // namespace tidegate::cli
