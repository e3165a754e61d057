// How the two ends of a pipeline are compared, whichever database the source is. README.md says what must
// hold.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "replicator/verify/findings.hpp"
#include "replicator/verify/request.hpp"

namespace tidegate::verify {

// What is compared and recorded at once: a table, or the rows of it between two values of its key.
struct Unit {
  int number = 0;
  Side side = Side::target;
  std::string table;                // the source's name
  std::string target;               // the target's, as status shows it
  std::string after, up_to;         // as the prover wrote them; empty: from the first, to the last
  std::uint64_t rows_expected = 0;  // about, for progress
};

class Stopped : public std::runtime_error {
 public:
  Stopped() : std::runtime_error("stopped") {}
};

class Worker {
 public:
  virtual ~Worker() = default;
  // Compares one unit in the snapshots of the meeting that made this worker. `compared` hears of rows as they
  // are done, may sleep, and throws Stopped where the run is to end. Throws Error, after which the worker
  // is given up.
  using Compared = std::function<void(std::uint64_t rows)>;
  virtual void check(const Unit& unit, const Request& request, const Compared& compared,
                     const std::stop_token& stop, Findings& findings) = 0;
  // Whether it has what this side needs.
  virtual bool takes(Side) const { return true; }
};

// Snapshots of both ends at one position, as long as it lives.
class Meeting {
 public:
  virtual ~Meeting() = default;
  virtual std::string position() const = 0;
  // All units that a request asks for, in the order in which they should be compared.
  virtual std::vector<Unit> units(const Request& request) = 0;
  // What is wrong on the target beside the rows of these units. May take as long as a scan of each table.
  virtual std::vector<Remark> remarks(const std::vector<Unit>& units) = 0;
  // One for each thread; no more than `jobs` of Prover::meet().
  virtual std::unique_ptr<Worker> worker() = 0;
  // What was held was held long enough (README, "What is held how long"): units of this side should be
  // compared at another meeting.
  virtual bool expired(Side side) = 0;
  // Every unit of this side is done.
  virtual void done_with(Side) {}
};

class Prover {
 public:
  virtual ~Prover() = default;
  // Null where it could not be had just now and should be tried again. Throws Refused, Error.
  virtual std::unique_ptr<Meeting> meet(int jobs, const std::stop_token& stop) = 0;
};

}  // namespace tidegate::verify
