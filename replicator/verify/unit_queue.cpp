#include "replicator/verify/unit_queue.hpp"

#include <algorithm>

namespace tidegate::verify {

bool UnitQueue::may_take(const Unit& unit, const Worker& worker) {
  return worker.takes(unit.side) && (!taken_any_ || !meeting_.expired(unit.side));
}

// Only one worker takes the shadow's side: when it takes another side, that one is done.
std::optional<Unit> UnitQueue::take(const Worker& worker) {
  std::lock_guard lock(mutex_);
  if (failure_) return std::nullopt;
  auto next =
      std::find_if(units_.begin(), units_.end(), [&](const Unit& unit) { return may_take(unit, worker); });
  bool has_shadow = next != units_.end() && next->side == Side::shadow;
  if (worker.takes(Side::shadow) && !has_shadow) meeting_.done_with(Side::shadow);
  if (next == units_.end()) return std::nullopt;
  Unit unit = *next;
  units_.erase(next);
  taken_any_ = true;
  return unit;
}

void UnitQueue::fail(std::exception_ptr failure) {
  std::lock_guard lock(mutex_);
  if (!failure_) failure_ = failure;
}

void UnitQueue::rethrow() {
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace tidegate::verify
