// Where another thread makes apply stand still for a moment, at a position that it chooses.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

#include "replicator/pipeline/applier.hpp"

namespace tidegate {

class ApplyHold {
 public:
  using Clock = std::chrono::steady_clock;
  using Limit = Applier::Limit;

  // --- the thread that holds; one at a time ---
  // From its next batch on apply takes no source transaction that the limit refuses, nor any behind it.
  void limit(Limit limit);
  // Where apply rests under the newest limit: what it let through is committed on the target. Absent when the
  // time is up or the stop came.
  std::optional<Position> wait_for_rest(Clock::time_point until, const std::stop_token& stop);
  void open();

  // --- the apply thread ---
  struct Order {
    std::uint64_t number = 0;
    Limit limit;  // empty: there is none
  };
  Order order() const;
  // Nothing more can be taken under this order: says so to who waits, and sleeps until there is another order
  // or a moment is over.
  void rest(const Order& order, const Position& at);

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  Order order_;
  std::uint64_t rested_ = 0;  // the number of the order under which apply rested last
  Position rests_at_;
};

// Lifts the limit however its scope is left.
class HoldScope {
 public:
  explicit HoldScope(ApplyHold& hold) : hold_(hold) {}
  ~HoldScope() { hold_.open(); }
  HoldScope(const HoldScope&) = delete;
  HoldScope& operator=(const HoldScope&) = delete;

 private:
  ApplyHold& hold_;
};

}  // namespace tidegate
