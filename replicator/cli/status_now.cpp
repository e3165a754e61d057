#include "replicator/cli/status_now.hpp"

#include "replicator/control/client.hpp"
#include "replicator/pipeline/daemon.hpp"

namespace tidegate::cli {

std::optional<Status> status_now(const std::filesystem::path& state_dir) {
  constexpr auto answer_time = std::chrono::seconds(10);
  try {
    return status_from_json(control::call(state_dir, "GET", "/v1/status", "", answer_time).body);
  } catch (const control::NotRunning&) {
    return last_status(state_dir);
  }
}

}  // namespace tidegate::cli
