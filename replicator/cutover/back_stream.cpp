#include "replicator/cutover/back_stream.hpp"

#include "replicator/log.hpp"

namespace tidegate::cutover {

void BackStream::start(const std::string& start) {
  if (start.empty() || thread_.joinable()) return;
  coordination_.clear_report("way-back-failed");
  thread_ = std::jthread([this, start](std::stop_token stop) {
    try {
      way_back_.run(start, stop);
    } catch (const std::exception& failure) {
      log_error("way back: {}", failure.what());
      coordination_.report("way-back-failed", failure.what());
    }
  });
}

void BackStream::stop() {
  thread_ = {};
}

}  // namespace tidegate::cutover
