// The lane of one table that is copied again: a thread that copies, follows, merges and follows again, each
// as README.md says, and asks the apply thread for what only that may do.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "apply/postgres/resync_ledger.hpp"
#include "apply/postgres/target_fit.hpp"
#include "replicator/pipeline/applier.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/source_worker.hpp"

namespace tidegate {

// What a lane needs of the pipeline. All of it outlives the lane.
struct LaneScene {
  const TargetSession& lease;
  SourceWorker& source;
  Coordination& coordination;
  const std::string& state_path;
  const TargetTablesOptions& tables;
  const BatchLimits& limits;
};

class ResyncWorker {
 public:
  // `resync` as it stands in the target, `plans` of all tables of the pipeline.
  ResyncWorker(const LaneScene& scene, Resync resync, const Plans& plans);
  // Ends the lane where it is; waits for its transaction.
  ~ResyncWorker();
  ResyncWorker(const ResyncWorker&) = delete;
  ResyncWorker& operator=(const ResyncWorker&) = delete;

  const std::string& table() const { return resync_.table; }
  // The table's, once it was merged.
  const TablePlan& plan() const { return plan_; }

  // For the apply thread, which may ask at any time.
  enum class Wish {
    nothing,
    hold,    // hold_for_merge(), then held()
    rejoin,  // come(), then the row may go
  };
  Wish wish() const;
  // What ended the lane; null as long as it works.
  std::exception_ptr failure() const;

  // The pipeline stands at `until` and leaves the table out.
  void held(std::uint64_t until);
  // Waits until the table is at `sequence`, where the pipeline stands, and the lane has ended. False where it
  // failed.
  bool come(std::uint64_t sequence);

 private:
  struct Lane;
  void run_to_the_end(const std::stop_token& stop);
  void run(const std::stop_token& stop);
  void copy(Lane& lane, const std::stop_token& stop);
  void follow(Lane& lane, const std::stop_token& stop);
  void merge(Lane& lane, const std::stop_token& stop);
  void rejoin(Lane& lane, const std::stop_token& stop);
  void wish(Wish wish);
  void wait(const std::stop_token& stop, std::chrono::milliseconds most);
  std::optional<std::uint64_t> granted() const;

  LaneScene scene_;
  Resync resync_;
  const Plans plans_;
  const TablePlan plan_;  // of the table itself
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  Wish wish_ = Wish::nothing;
  std::optional<std::uint64_t> until_;  // what the apply thread answered to the wish
  bool ended_ = false;
  std::exception_ptr failure_;
  std::jthread thread_;
};

}  // namespace tidegate
