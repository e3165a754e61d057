// What the steps of a run do to the two databases. The executor says when; there is one passage for each
// direction: forward.hpp and backward.hpp.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "replicator/cutover/hold.hpp"
#include "replicator/cutover/parts.hpp"

namespace tidegate::cutover {

// Every call may throw Error: with Advice::stop it would fail again, else another attempt may succeed.
class Passage {
 public:
  virtual ~Passage() = default;

  virtual const char* direction() const = 0;  // as hooks are told
  // The hook that moves the traffic.
  virtual const char* switch_event() const = 0;

  // GUARD; `calm` is for how long the lag is watched.
  virtual std::vector<Finding> examine(std::chrono::milliseconds calm, std::stop_token stop) = 0;
  // PREPARE, before the hold: what would take too long within it. False where it did not end in time.
  virtual bool prepare(Clock::time_point until) = 0;
  // What is held, but for the hook.
  virtual Hold::Options what_to_hold() = 0;
  // DRAIN, within the hold: all that was written to `from` is in `to`. False where the time came first.
  virtual bool drain(Clock::time_point until) = 0;
  // PROVE: what speaks against it, empty: nothing does; absent where the time came first.
  virtual std::optional<std::string> prove(Clock::time_point until) = 0;
  // REVERSE: the start of the stream `to` -> `from` is recorded, in run.way_back_start or durably elsewhere.
  virtual void record_start(Run& run, Clock::time_point until) = 0;
  // The statements that fence `from` within the hold.
  virtual std::string fence(const Run& run) = 0;

  // INTENT: nothing is captured or applied from here on that the fence might come between.
  virtual void stand_still() = 0;
  // The run that fenced `from`, for good; absent: it is not fenced and will not be.
  virtual std::optional<std::string> settle() = 0;
  // Before the point of no return: as it was before the run.
  virtual void go_on_as_before() = 0;
  // OPEN: `to` takes writes. Can be repeated. False where the time came first.
  virtual bool open(const Run& run) = 0;
};

// For the run's direction.
std::unique_ptr<Passage> make_passage(Parts& parts, const Order& order);

}  // namespace tidegate::cutover
