// verify as a job of the daemon: one run at a time, on threads of its own. A run that the daemon's end
// interrupted goes on with the next start.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "replicator/config/settings.hpp"
#include "replicator/pipeline/apply_worker.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/source_worker.hpp"
#include "replicator/verify/store.hpp"

namespace tidegate::verify {

class Job {
 public:
  Job(const Settings& settings, SourceWorker& source, ApplyWorker& apply, Coordination& coordination,
      const std::string& control_path);
  // Ends the threads; the run goes on with the next daemon.
  ~Job();

  // Goes on with what an earlier daemon left. To be called once, when the pipeline runs.
  void resume();
  // Throws Refused where the pipeline is not in the stream, or another run is under way.
  Run start(const Request& request, const std::string& by);
  // Makes the rows that the newest run found to differ what the source has, then verifies their tables in a
  // run of its own, which is the answer; absent where nothing differs. Throws Refused as start() does, and
  // where the target is the live side.
  std::optional<Run> repair(const std::string& by);
  bool maps(const std::string& table) const;
  // Of a mapped table: compares all that its maps make and mends it, again and again, until nothing differs
  // or a round finds no less than the one before. The newest run is the answer. Throws Refused as repair()
  // does.
  Run resync(const std::string& table, const std::string& by);
  // Ends the run for good. False where none is under way.
  bool stop();
  // How far the run is that is under way.
  std::optional<VerifyStatus> status();
  // One JSON object: the newest run and how far it is.
  std::string progress_json();

 private:
  void require_stream();
  void require_live_source();
  void launch(Run run, std::vector<Difference> repairs = {});
  void rewrite(std::vector<Difference> repairs, const std::stop_token& stop);
  bool go_on_mending(Run& run, std::vector<Difference>& repairs, std::optional<std::uint64_t>& before);
  void capture_again(const std::stop_token& stop);
  // Until the target has what the source has now, or the time is up.
  void wait_for_target(Coordination::Clock::time_point until, const std::stop_token& stop);
  void work(Run run, std::vector<Difference> repairs, const std::stop_token& stop);
  bool wait_for_stream(const std::stop_token& stop);
  void run_through(Run& run, const std::stop_token& stop);
  std::unique_ptr<Meeting> meet(Prover& prover, int jobs, const std::stop_token& stop);
  void rejoin(const Run& run, const std::stop_token& stop);
  void settle(const Run& run, const std::stop_token& stop);
  std::vector<Remark> leave_out_resync(std::vector<Unit>& units);
  void note_way_back(const Run& run);
  void plan(Run& run, Meeting& meeting);
  void compare(const Run& run, Meeting& meeting, const std::stop_token& stop);
  void compared(std::uint64_t rows, std::uint64_t rate, const std::stop_token& stop);
  void finish(const Run& run);
  int jobs(const Request& request) const;
  Ends ends() const;

  const Settings& settings_;
  SourceWorker& source_;
  ApplyWorker& apply_;
  Coordination& coordination_;
  Store store_;
  std::mutex mutex_;  // of who starts and stops
  std::atomic<bool> busy_ = false, given_up_ = false;
  std::atomic<std::uint64_t> rows_ = 0, rows_at_start_ = 0;
  std::atomic<Coordination::Clock::time_point> began_{};
  std::jthread thread_;
};

}  // namespace tidegate::verify
