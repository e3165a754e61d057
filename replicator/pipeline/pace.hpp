// How fast the apply thread may go: the operator's pause and throttle.
#pragma once

#include "replicator/pipeline/coordination.hpp"

namespace tidegate {

class Pace {
 public:
  explicit Pace(Coordination& coordination) : coordination_(coordination) {}

  bool stopped() const { return coordination_.stop_token().stop_requested(); }
  // Returns when the pause is over; false where the stop came.
  bool wait_while_paused();
  // Waits as long as `rows`, begun at `since`, must take by the throttle.
  void limit_rate(std::uint64_t rows, Coordination::Clock::time_point since);
  void sleep(std::chrono::milliseconds time);

 private:
  Coordination& coordination_;
};

}  // namespace tidegate
