// The units of one meeting, handed out to its workers.
#pragma once

#include <deque>
#include <exception>
#include <mutex>
#include <optional>

#include "replicator/verify/prover.hpp"

namespace tidegate::verify {

class UnitQueue {
 public:
  UnitQueue(Meeting& meeting, std::vector<Unit> units)
      : meeting_(meeting), units_(units.begin(), units.end()) {}

  // In order, of those sides that the worker takes and that are not expired; nothing once there are none, or
  // somebody failed. Each meeting hands out one unit at least, so that a run comes to its end.
  std::optional<Unit> take(const Worker& worker);
  void fail(std::exception_ptr failure);
  void rethrow();

 private:
  bool may_take(const Unit& unit, const Worker& worker);

  Meeting& meeting_;
  std::mutex mutex_;
  std::deque<Unit> units_;
  std::exception_ptr failure_;
  bool taken_any_ = false;
};

}  // namespace tidegate::verify
