// A source as the daemon runs it, whichever database it is: from the first look to the last change.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "replicator/pipeline/apply_hold.hpp"
#include "replicator/pipeline/planning.hpp"
#include "replicator/pipeline/source_view.hpp"
#include "replicator/verify/prover.hpp"

namespace tidegate {

class SourceWorker {
 public:
  virtual ~SourceWorker() = default;

  // What an operator is to approve. `approved`: the plan is known already, and may be left out. What the
  // source needs for being read may be changed here (a switch to WAL that was consented to).
  virtual std::optional<PlannedPipeline> open(bool approved) = 0;
  // The plan was approved, now or in an earlier run: what else the source must have (a slot) is made here.
  virtual void prepare() = 0;

  // The capture thread's work, until the stop. Failures that may pass are reported and tried again with
  // growing pauses; others end the daemon.
  virtual void run() = 0;

  // For the apply thread. Throws Error where the source is away.
  virtual std::unique_ptr<SourceView> view() = 0;
  // A transaction that is being captured, and may be applied meanwhile; null: there is never one.
  virtual OpenTail* open_tail() { return nullptr; }

  // What capture keeps of the source is compared with all of it at the next cut.
  virtual void look_everywhere() {}
  // While the cutover has the word (Coordination::park), the source is fenced and the way back writes to it:
  // capture gets past what that wrote without taking it for a change (a SQLite source's shadow takes it over,
  // a Postgres source's stream leaves marked transactions out). What it took; absent where the time came
  // first, and then nothing of it is done later. Throws what failed.
  virtual std::optional<std::chrono::microseconds> absorb(bool everything,
                                                          std::chrono::steady_clock::time_point until) = 0;
  // For verify, on threads of its own. Throws Error where the source is away.
  virtual std::unique_ptr<verify::Prover> prover(ApplyHold& hold) = 0;
};

}  // namespace tidegate
