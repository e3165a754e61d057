#include "replicator/cutover/parts.hpp"

#include <algorithm>

namespace tidegate::cutover {

using namespace std::chrono_literals;

bool fits_into_a_hold(std::chrono::microseconds compare, const Order& order) {
  return compare * 4 < order.max_hold;
}

std::optional<RoundTrip> round_trip(Coordination& coordination, bool compare_everything,
                                    Clock::time_point until) {
  const auto began = Clock::now();
  const auto stop = coordination.stop_token();
  const auto wish = compare_everything ? coordination.want_full_cut() : coordination.want_cut();
  const auto captured = coordination.wait_for_cut(wish, until, stop);
  if (!captured || !coordination.wait_for_applied(*captured, until, stop)) return std::nullopt;
  return RoundTrip{*captured, std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began)};
}

bool on_target(Parts& parts, ApplyWorker::Work work, Clock::time_point until) {
  auto answer = parts.apply.at_rest(std::move(work));
  const auto stop = parts.coordination.stop_token();
  while (!stop.stop_requested() && Clock::now() < until) {
    if (answer.wait_until(std::min(until, Clock::now() + 50ms)) == std::future_status::ready)
      return answer.get(), true;
  }
  return false;
}

}  // namespace tidegate::cutover
