// The apply thread's side of tables that are copied again: which ones, whose turn it is, and what a lane may
// not do by itself. README.md has the protocol.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "replicator/pipeline/resync_worker.hpp"

namespace tidegate {

class Resyncs {
 public:
  // `plans` and `quarantine` are the apply thread's; what is in the target goes on.
  Resyncs(const LaneScene& scene, TargetSession& session, const Plans& plans, Quarantine& quarantine);

  // Tables that the pipeline's stream leaves out, to be told to the applier that makes it.
  void begin(Applier& applier);
  // Between two batches. Throws Error where the session must be given up.
  void tend(Applier& applier);
  // Between two batches: the table is to be copied again. False where that goes on already.
  bool order(const std::string& table);
  // Within a batch that lets the stream pass a change of this table's shape: a resync begins anew.
  void begin_anew(const std::string& table);

  bool is_held(const std::string& table) const;
  std::vector<std::string> tables() const;
  // Sets the state of the tables concerned.
  void show() const;

 private:
  Resync* find(const std::string& table);
  void put(Resync resync);
  void start_next();
  void look_for_failure();
  void hold(Applier& applier);
  void rejoin(Applier& applier);
  void keep_journal() const;

  LaneScene scene_;
  TargetSession& session_;
  const Plans& plans_;
  Quarantine& quarantine_;
  std::vector<Resync> resyncs_;
  std::chrono::steady_clock::time_point not_before_{};  // after a failure
  std::chrono::milliseconds pause_;
  std::unique_ptr<ResyncWorker> worker_;
};

}  // namespace tidegate
