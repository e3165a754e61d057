// Carries out the steps of a run: the hold, the hooks, and what failures mean. What follows what is the
// machine's; what is done to the databases is the passage's.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replicator/cutover/hold.hpp"
#include "replicator/cutover/parts.hpp"
#include "replicator/cutover/passage.hpp"
#include "replicator/cutover/writers_seen.hpp"

namespace tidegate::cutover {

class Executor {
 public:
  // `abort` is looked at while a step waits that may still be given up.
  Executor(Parts& parts, const Order& order, const std::atomic<bool>& abort)
      : parts_(parts), order_(order), abort_(abort), passage_(make_passage(parts, order)) {}

  // Does run.step, which is in the journal already. Failures become outcomes; `run.reason` says why.
  Outcome perform(Run& run);
  // Nothing waits any more, and what the hooks did beforehand is undone; what the next attempt needs may
  // stay. Never throws.
  void let_go(const Run& run, bool again = false);

  // Hooks that are told how the run has ended. Never throws.
  void tell_end(const Run& run);

  const std::vector<Finding>& findings() const { return findings_; }
  // From the lock's first request to its end, of the last attempt that took it.
  std::optional<double> hold_ms() const { return hold_ms_; }
  // Of a rehearsal that has ended.
  const std::optional<WritersSeen>& writers() const { return writers_; }

 private:
  Outcome guard(Run& run);
  Outcome prepare(Run& run);
  Outcome hold(Run& run);
  Outcome drain(Run& run);
  Outcome prove(Run& run);
  Outcome reverse(Run& run);
  Outcome intent(Run& run);
  Outcome settle(Run& run);
  Outcome open(Run& run);
  Outcome switch_over(Run& run);
  HookFacts facts(const Run& run) const;
  bool hook(const char* event, Run& run, const HookWatch& watch = {});
  void note_trouble(Run& run, const std::string& trouble);
  void tell(const char* event, const Run& run);
  void note_hold();
  void watch_writers();
  void tell_writers(const Run& run);
  Outcome out_of_time(Run& run, const char* what);

  Parts& parts_;
  const Order& order_;
  const std::atomic<bool>& abort_;
  std::unique_ptr<Passage> passage_;
  std::unique_ptr<Hold> hold_;
  std::vector<Finding> findings_;
  std::optional<double> hold_ms_;
  std::optional<WritersWatch> watch_;  // a rehearsal where a hold may make writes fail
  std::optional<WritersSeen> writers_;
};

}  // namespace tidegate::cutover
