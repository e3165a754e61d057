// A rollback's steps: from the target to the legacy database, which has followed it by the way back.
#pragma once

#include "db/postgres.hpp"
#include "replicator/cutover/passage.hpp"

namespace tidegate::cutover {

class Backward : public Passage {
 public:
  Backward(Parts& parts, const Order& order) : parts_(parts), order_(order) {}

  const char* direction() const override { return "backward"; }
  // Programs that know of the direction need no second name.
  const char* switch_event() const override;
  std::vector<Finding> examine(std::chrono::milliseconds calm, std::stop_token stop) override;
  bool prepare(Clock::time_point until) override;
  Hold::Options what_to_hold() override;
  bool drain(Clock::time_point until) override;
  std::optional<std::string> prove(Clock::time_point until) override;
  // The forward stream's start: all that the legacy database gets later is captured, and nothing of before.
  void record_start(Run& run, Clock::time_point until) override;
  std::string fence(const Run& run) override;
  void stand_still() override {}  // it does, since the cutover
  std::optional<std::string> settle() override;
  void go_on_as_before() override {}
  bool open(const Run& run) override;

 private:
  std::string target_against();

  Parts& parts_;
  const Order& order_;
  std::unique_ptr<postgres::Connection> target_;  // reads beside the hold; there from PREPARE on
  std::vector<TablePlan> plans_;
  std::chrono::microseconds full_compare_{0};  // of a legacy file with the shadow
  std::uint64_t drained_ = 0;                  // the reverse journal's end within the hold
};

}  // namespace tidegate::cutover
