// The cutovers and rollbacks of one pipeline, as the daemon offers them: begins one, resumes one that a crash
// left, says how it goes. One at a time, on a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "db/postgres.hpp"
#include "replicator/cutover/parts.hpp"
#include "replicator/cutover/past_fence.hpp"

namespace tidegate::cutover {

class Executor;

class Cutover {
 public:
  Cutover(const Settings& settings, const std::filesystem::path& state_dir, const std::string& state_path,
          Coordination& coordination, ControlStore& store, SourceWorker& source, ApplyWorker& apply,
          std::unique_ptr<WayBack> way_back);
  ~Cutover();

  // At a start, before capture and apply begin: decides by the journal and by both databases. Parks both
  // where the target is live or may become so. Waits for a target that is away, where it must be asked.
  // Throws Refused ("half-done") where the three disagree, having changed nothing.
  void look_back();
  // Goes on with what look_back() found. Ends with stop().
  void start();
  void stop();

  // The settings' values, for what an operator does not say.
  Order usual_order() const;
  std::vector<Finding> dry_run(const Order& order, std::stop_token stop);
  // The run's id. Throws Refused where one is under way, or the phase does not allow it.
  std::string begin(const Order& order);
  // Runs the hooks of the last switch again, cutover or rollback.
  std::string switch_again(const Order& order);
  // While the target is live: the way back is built anew, whatever became of the last one; status tells how
  // far it is, and a restart goes on. Returns once it is journalled. Throws Refused.
  void rebuild_way_back(const std::string& by, const std::string& reason);
  // While the target is live: waits until the legacy database has all that was committed on the target before
  // the call. Throws Refused where nothing goes there, and "timed-out".
  struct SyncedBack {
    std::uint64_t position = 0;  // in the reverse journal
    std::size_t rejects = 0;     // rows of all that the legacy database cannot hold
  };
  SyncedBack sync_back(Clock::time_point until, std::stop_token stop);
  // Throws Refused past the point of no return, and where nothing is under way.
  void abort(const std::string& by, const std::string& reason);

  // Puts what it knows into a status: phase, live side, step, next steps.
  void show(Status& status);
  // The phase by which verbs are permitted: a run past its point of no return is "switching".
  std::string permission_phase(const std::string& phase);
  bool is_target_live();

 private:
  struct Waiting {
    Run run;
    Order order;
    bool journalled = false;
  };
  void work(std::stop_token stop);
  bool begins(Run run);
  bool enter(Run& run, bool was_past_return, Executor& executor, std::stop_token stop);
  void carry_out(Run run, const Order& order, std::stop_token stop);
  bool make_move(Run& run, const Move& move, Executor& executor, std::stop_token stop);
  void note(const Run& run, const Executor* executor);
  void end(const Run& run, const Executor& executor);
  std::optional<Waiting> next_order(std::stop_token stop);
  void settle_on(const std::optional<Run>& settled);
  void tell_of_switch(const std::optional<Run>& settled);
  void look_at_leftovers();
  void look_at_target();
  void look_past_fence();
  void look_for_new_tables();
  postgres::Connection& target_to_look_at();
  void show_run(Status& status) const;
  void show_reversed(Status& status);
  void show_switch(Status& status) const;
  void take_up_last_run();
  void start_way_back(const Run& settled);
  void require_way_back();
  void let_go_at_once(Run run);
  void give_up_after_crash(Run run);
  void wait(std::chrono::milliseconds time, bool can_be_aborted, std::stop_token stop);

  std::unique_ptr<Legacy> legacy_;
  std::unique_ptr<WayBack> way_back_;
  BackStream back_;
  std::unique_ptr<RunJournal> journal_;
  Hooks hooks_;
  Parts parts_;

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::optional<Waiting> waiting_;
  bool busy_ = false;
  std::atomic<bool> abort_ = false;
  bool came_back_ = false;                             // the last run that came through was a rollback
  std::unique_ptr<postgres::Connection> target_look_;  // what the target is asked by then
  std::optional<PastFence> past_fence_;                // while the target is live, since the start
  Clock::time_point next_look_at_tables_{};
  std::atomic<bool> knows_live_side_;  // after a start both databases are asked first
  CutoverStatus shown_;
  std::int64_t step_began_us_ = 0;  // of the step that is shown last
  Step step_ = Step::aborted;       // and mode of the last run
  Mode mode_ = Mode::cutover;
  std::uint64_t rejects_ = 0;   // of the way back, when it was last looked
  std::optional<Run> settled_;  // made live_ so
  Side live_ = Side::source;    // but for a run that is past its point of no return
  std::jthread thread_;
};

}  // namespace tidegate::cutover
