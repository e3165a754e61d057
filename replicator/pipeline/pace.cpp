#include "replicator/pipeline/pace.hpp"

#include <thread>

namespace tidegate {

using namespace std::chrono_literals;

bool Pace::wait_while_paused() {
  for (;;) {
    auto known = coordination_.work_so_far();
    if (!coordination_.paused() || stopped()) break;
    coordination_.wait_for_work(known, 200ms, coordination_.stop_token());
  }
  return !stopped();
}

void Pace::limit_rate(std::uint64_t rows, Coordination::Clock::time_point since) {
  auto limit = coordination_.throttle();
  if (!limit || *limit == 0) return;
  auto due = since + std::chrono::microseconds(rows * 1000000 / *limit);
  while (Coordination::Clock::now() < due && coordination_.throttle() == limit && !stopped()) {
    std::this_thread::sleep_for(5ms);
  }
}

void Pace::sleep(std::chrono::milliseconds time) {
  auto until = Coordination::Clock::now() + time;
  while (!stopped() && Coordination::Clock::now() < until) std::this_thread::sleep_for(10ms);
}

}  // namespace tidegate
