// What the verbs say to the daemon. Errors that the daemon answers are thrown with the exit code that they
// carry.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "replicator/control/api.hpp"
#include "replicator/failure.hpp"

namespace tidegate::control {

// "no tidegate daemon runs on state directory X; start it with: tidegate run …"
class NotRunning : public Coded<std::runtime_error> {
 public:
  explicit NotRunning(const std::filesystem::path& state_dir);
};

// Answers 2xx. Throws NotRunning; Coded<…> for an {"error": …} answer, with its code, message, mend and exit;
// and Coded<std::runtime_error> with Exit::timed_out.
Response call(const std::filesystem::path& state_dir, const std::string& method,
              const std::string& path_and_query, const std::string& body, std::chrono::milliseconds timeout);

}  // namespace tidegate::control
