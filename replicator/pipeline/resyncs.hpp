// The apply thread's side of tables that are copied again: which ones, whose turn it is, and what a lane may
// not do by itself. README.md has the protocol.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "replicator/pipeline/resync_worker.hpp"

namespace tidegate {

class Resyncs {
 public:
  // `pipeline` and `view` are the apply thread's, and `plans` the same as there; what is in the target goes
  // on.
  Resyncs(const LaneScene& scene, const TargetScene& pipeline, Plans& plans, SourceView& view);

  // Tables that the pipeline's stream leaves out, to be told to the applier that makes it.
  void begin(Applier& applier);
  // Between two batches. Throws Error where the session must be given up.
  void tend(Applier& applier);
  // Between two batches: the table is to be copied again. Does nothing where that goes on already. Throws
  // Refused where the target cannot follow the table's shape.
  void order(const std::string& table);
  // Within a batch that lets the stream pass a change of this table's shape: a resync begins anew.
  void begin_anew(Applier& applier, const std::string& table);
  // Within a batch: nothing more of the table is applied until it was copied again. `sequence` is where the
  // journal says so: a resync that began later knows of it.
  void stop(Applier& applier, const SchemaChange::Stopped& stopped, std::uint64_t sequence);

  // Between two batches: a mapped table that was stopped streams again, in the shape that it has now; its
  // rows are still to be brought in line. Does nothing where it was not stopped. Throws Refused where its
  // maps cannot read it so.
  void rejoin_mapped(Applier& applier, const std::string& table, const std::function<void()>& apply_once);
  // Between two batches: that was done.
  void in_line(const std::string& table);

  // Between two batches: tables that came to the source are made and get their first copy.
  void take_in_new(Applier& applier);
  // Since the last call: tables whose rows are all there, so that what is built after the load may be.
  bool take_ended() { return std::exchange(ended_, false); }

  bool is_held(const std::string& table) const;
  bool is_known(const std::string& table) const;  // in whatever state
  std::vector<std::string> tables() const;
  // Sets the state of the tables concerned.
  void show() const;

 private:
  Resync* find(const std::string& table);
  void put(Resync resync);
  void take_in(Applier& applier, const std::string& table);
  StagingShape shape_of(const std::string& table);
  void order_stopped();
  void refuse(const std::string& table, const std::string& why);
  void report_stopped() const;
  void start_next();
  void look_for_failure();
  void hold(Applier& applier);
  void rejoin(Applier& applier);
  void forget(const std::string& table);
  void keep_journal() const;

  LaneScene scene_;
  TargetScene pipeline_;
  TargetSession& session_;
  Plans& plans_;
  SourceView& view_;
  std::vector<Resync> resyncs_;
  bool ended_ = false;
  std::map<std::string, std::uint64_t> settled_;  // the journal's end when a table's shape was accepted
  std::set<std::string> refused_;                 // stopped tables that cannot be copied again by themselves
  std::chrono::steady_clock::time_point not_before_{};  // after a failure
  std::chrono::milliseconds pause_;
  std::unique_ptr<ResyncWorker> worker_;
};

}  // namespace tidegate
