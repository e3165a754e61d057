#include "replicator/pipeline/apply_hold.hpp"

#include <utility>

namespace tidegate {
namespace {

// Apply looks whether more has come that the limit lets through.
constexpr std::chrono::milliseconds longest_rest{5};

}  // namespace

void ApplyHold::limit(Limit limit) {
  std::lock_guard lock(mutex_);
  order_ = {order_.number + 1, std::move(limit)};
  changed_.notify_all();
}

std::optional<Position> ApplyHold::wait_for_rest(Clock::time_point until, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  auto number = order_.number;
  if (!changed_.wait_until(lock, stop, until, [&] { return rested_ == number; })) return std::nullopt;
  return rests_at_;
}

void ApplyHold::open() {
  std::lock_guard lock(mutex_);
  order_ = {order_.number + 1, {}};
  changed_.notify_all();
}

ApplyHold::Order ApplyHold::order() const {
  std::lock_guard lock(mutex_);
  return order_;
}

void ApplyHold::rest(const Order& order, const Position& at) {
  std::unique_lock lock(mutex_);
  if (order.number != order_.number) return;
  rested_ = order.number;
  rests_at_ = at;
  changed_.notify_all();
  changed_.wait_for(lock, longest_rest, [&] { return order.number != order_.number; });
}

}  // namespace tidegate
