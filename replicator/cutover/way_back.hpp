// The stream from the target back to the legacy database, as the cutover needs it: there before the point of
// no return, running after it. README.md says where each call stands in the protocol.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "replicator/control/status.hpp"

namespace tidegate::cutover {

class WayBack {
 public:
  using Clock = std::chrono::steady_clock;
  virtual ~WayBack() = default;

  // GUARD. Makes on the target what the way back reads from (publication, slot), where it is not there yet,
  // and begins to consume it on a thread of its own: transactions of tidegate are skipped, any other is a
  // foreign writer's. May wait for every open transaction of the server, until the stop. Can be repeated; a
  // crash leaves a slot and a publication that the next call finds again. Throws Refused or Error.
  virtual void prepare(std::stop_token stop) = 0;

  // GUARD. What keeps a cutover from beginning: one blocking finding for each reason (slot or stream not
  // there, the legacy database does not take our canary, a foreign writer was seen on the target since
  // prepare()). Changes nothing that lasts. Empty: the way back is proven.
  virtual std::vector<Finding> ready() = 0;

  // REVERSE, within the hold, before the target takes writes: where the reverse stream starts, as a text
  // that only the way back reads. The cutover journals it with its intent. Returns by `until` or throws.
  virtual std::string record_start(Clock::time_point until) = 0;

  // From OPEN on, on the caller's thread, until the stop: brings what is committed on the target after
  // `start` into the legacy database. After a crash it is called with the same `start` again, and goes on
  // where the legacy database says it is. Failures that may pass are tried again with growing pauses; throws
  // what an operator must decide.
  virtual void run(const std::string& start, std::stop_token stop) = 0;

  // In the place of run() where the slot was lost, or there has never been one: what keeps it from being
  // built anew, if anything; throws Refused or Error. Changes nothing.
  virtual void require_rebuildable() = 0;
  // On the caller's thread, until the stop: a new slot on the target, and the legacy database brought in line
  // with the target as it is seen there; where run() goes on. Rows of the legacy that the target does not
  // have go. `tell` gets what is being done. A crash leaves a legacy database that is partly in line: done
  // again from the beginning. Throws what run() throws, and Error with another advice than stop for what may
  // pass.
  using Tell = std::function<void(const std::string&)>;
  virtual std::string rebuild(const Tell& tell, std::stop_token stop) = 0;

  // From any thread, while run() is at work: what a rollback would lose at this moment.
  virtual Lag lag() = 0;

  // Commits a marker on the target and waits until the legacy database has all that stands before it: the
  // reverse journal's sequence up to which it has. Absent where the time or the stop came first.
  virtual std::optional<std::uint64_t> caught_up(Clock::time_point until, std::stop_token stop) = 0;

  // At a start, before run() or without it: goes on consuming what an earlier prepare() has made on the
  // target, so that its server need not keep it. Does nothing where there is nothing.
  virtual void resume() = 0;

  // GUARD of a rollback, while run() is at work: what keeps it from beginning. Changes nothing that lasts.
  virtual std::vector<Finding> ready_to_return() = 0;
  // PROVE of a rollback, within the hold: position and digest of the legacy database agree with the reverse
  // journal, at `sequence` or behind it; its identity columns go on behind what the target has given out.
  // What speaks against it, or empty.
  virtual std::string prove(std::uint64_t sequence) = 0;
  // Rows that the legacy database cannot hold.
  virtual std::size_t rejects() = 0;

  // Takes away what it has made on the target, in the state directory and, last, in the legacy database.
  // run() must have ended. Can be repeated.
  virtual void remove() = 0;
};

}  // namespace tidegate::cutover
