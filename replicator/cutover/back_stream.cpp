#include "replicator/cutover/back_stream.hpp"

#include <algorithm>
#include <chrono>

#include "replicator/cutover/reverse_capture.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"

namespace tidegate::cutover {
namespace {

constexpr auto first_pause = std::chrono::milliseconds(500),
               longest_pause = std::chrono::milliseconds(10'000);

constexpr const char* way_back_page = "way-back-lost";  // the runbook

// The target keeps nothing any more for a slot that is gone, was given up, or went on without us.
bool is_lost(const std::exception& failure) {
  return told(failure).code == kSlotLost;
}

// The report has a code of its own; what the failure's says must be found as well.
std::string page_of(const std::exception& failure) {
  const std::string code = dynamic_cast<const Error*>(&failure) ? "" : told(failure).code;
  return code.empty() || code == "failed" || code == kSlotLost ? way_back_page : code;
}

std::string with_page(const std::exception& failure) {
  const auto page = page_of(failure);
  return failure.what() + (page == way_back_page ? "" : "; tidegate explain " + page);
}

bool passes(const std::exception& failure) {
  const auto* error = dynamic_cast<const Error*>(&failure);
  return error && error->advice() != Advice::stop;
}

}  // namespace

void BackStream::start(const std::string& start) {
  if (start.empty() || thread_.joinable()) return;
  begin_again();
  thread_ = std::jthread([this, start](const std::stop_token& stop) { run(start, stop); });
}

void BackStream::run(const std::string& start, const std::stop_token& stop) {
  try {
    way_back_.run(start, stop);
  } catch (const std::exception& failure) {
    std::string what = with_page(failure);
    if (is_lost(failure))
      what = "the target has no slot any more that has all since the cutover (" + told(failure).message +
             "): `tidegate resync --way-back` builds the way back anew";
    fail(what, page_of(failure));
  }
}

void BackStream::begin_again() {
  coordination_.clear_report("way-back-failed");
  std::lock_guard lock(mutex_);
  trouble_.reset();
}

void BackStream::fail(const std::string& what, const std::string& page) {
  log_error("way back: {}", what);
  coordination_.report("way-back-failed", what);
  std::lock_guard lock(mutex_);
  trouble_ = Trouble{what, page};
}

std::optional<BackStream::Trouble> BackStream::trouble() const {
  std::lock_guard lock(mutex_);
  return trouble_;
}

void BackStream::rebuild(std::function<void(const std::string& start)> built) {
  stop();
  begin_again();
  tell("beginning");
  thread_ = std::jthread([this, built = std::move(built)](const std::stop_token& stop) {
    std::string start;
    try {
      start = build(stop);
      if (!start.empty()) built(start);
    } catch (const std::exception& failure) {
      fail(with_page(failure), page_of(failure));
      start.clear();
    }
    tell("");
    if (!start.empty()) run(start, stop);
  });
}

// Empty where the stop came.
std::string BackStream::build(const std::stop_token& stop) {
  auto pause = first_pause;
  while (!stop.stop_requested()) {
    try {
      return way_back_.rebuild([this](const std::string& what) { tell(what); }, stop);
    } catch (const std::exception& failure) {
      if (!passes(failure)) throw;
      if (stop.stop_requested()) break;
      log_warn("way back: {}", failure.what());
      tell("waiting to begin again: " + std::string(failure.what()));
      std::unique_lock lock(mutex_);
      pause_.wait_for(lock, stop, pause, [] { return false; });
      pause = std::min(pause * 2, longest_pause);
    }
  }
  return "";
}

void BackStream::tell(const std::string& what) {
  std::lock_guard lock(mutex_);
  rebuilding_ = what;
}

std::string BackStream::rebuilding() const {
  std::lock_guard lock(mutex_);
  return rebuilding_;
}

void BackStream::stop() {
  thread_ = {};
}

}  // namespace tidegate::cutover
