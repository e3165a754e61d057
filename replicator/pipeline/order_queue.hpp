#pragma once

#include <exception>
#include <future>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

namespace tidegate {

// What other threads ask of the one that serves: each order is answered once. One that is never served (the
// daemon ends first) breaks its promise.
template <class Asked, class Answer>
class OrderQueue {
 public:
  std::future<Answer> place(Asked asked) {
    std::lock_guard lock(mutex_);
    return orders_.emplace_back(Order{std::move(asked), {}}).answer.get_future();
  }

  // `serve` is called with each order and returns its answer. What it throws is the answer as well; where
  // `concerns_all` says so of the exception at hand, it is thrown on, and the orders behind it are given up.
  template <class Serve, class ConcernsAll>
  void serve(Serve serve, ConcernsAll concerns_all) {
    for (Order& order : taken()) {
      try {
        answer(order, serve);
      } catch (...) {
        order.answer.set_exception(std::current_exception());
        if (concerns_all()) throw;
      }
    }
  }

 private:
  struct Order {
    Asked asked;
    std::promise<Answer> answer;
  };

  template <class Serve>
  static void answer(Order& order, Serve& serve) {
    if constexpr (std::is_void_v<Answer>) {
      serve(order.asked);
      order.answer.set_value();
    } else {
      order.answer.set_value(serve(order.asked));
    }
  }
  std::vector<Order> taken() {
    std::lock_guard lock(mutex_);
    return std::exchange(orders_, {});
  }

  std::mutex mutex_;
  std::vector<Order> orders_;
};

}  // namespace tidegate
