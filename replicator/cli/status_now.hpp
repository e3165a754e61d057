// The status of a pipeline, whether its daemon runs or not.
#pragma once

#include <filesystem>
#include <optional>

#include "replicator/control/status.hpp"

namespace tidegate::cli {

// What the daemon says, else the last status that it left. Absent where there is neither. Throws what a
// daemon that runs and does not answer makes of it.
std::optional<Status> status_now(const std::filesystem::path& state_dir);

}  // namespace tidegate::cli
