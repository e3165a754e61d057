// A cutover's steps: from the legacy database to the target.
#pragma once

#include "replicator/cutover/passage.hpp"

namespace tidegate::cutover {

class Forward : public Passage {
 public:
  Forward(Parts& parts, const Order& order) : parts_(parts), order_(order) {}

  const char* direction() const override { return "forward"; }
  const char* switch_event() const override { return "on-switch"; }
  std::vector<Finding> examine(std::chrono::milliseconds calm, std::stop_token stop) override;
  bool prepare(Clock::time_point until) override;
  Hold::Options what_to_hold() override { return parts_.legacy.what_to_hold(); }
  bool drain(Clock::time_point until) override;
  std::optional<std::string> prove(Clock::time_point until) override;
  void record_start(Run& run, Clock::time_point until) override;
  std::string fence(const Run& run) override { return parts_.legacy.fence_sql(run); }
  void stand_still() override { parts_.coordination.park(true); }
  std::optional<std::string> settle() override;
  void go_on_as_before() override { parts_.coordination.park(false); }
  bool open(const Run& run) override;

 private:
  Parts& parts_;
  const Order& order_;
  std::chrono::microseconds full_compare_{0};  // what the last one took, with its way to the target
  std::uint64_t drained_ = 0;                  // the journal's end within the hold
};

}  // namespace tidegate::cutover
