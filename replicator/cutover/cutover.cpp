#include "replicator/cutover/cutover.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "apply/postgres/refusals.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/executor.hpp"
#include "replicator/cutover/permitted.hpp"
#include "replicator/cutover/restart.hpp"
#include "replicator/cutover/target_before.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto first_pause = 1000ms, longest_pause = 30'000ms;
constexpr auto between_looks = 2s;  // at who has not moved
constexpr auto between_looks_at_tables = 10s;
constexpr const char* ended_early = "the daemon ended before the point of no return";

// "20260301T123456-9f3a": sorts by time, and is a plain word in SQL and in file names.
std::string new_run_id() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y%m%dT%H%M%S}-{:04x}", fmt::gmtime(now), std::random_device{}() & 0xffff);
}

// A hook has done what it does, whether there is room to say so or not.
void audit_hook(ControlStore& store, const std::string& what, const std::string& outcome) {
  try {
    store.audit(what, "tidegate", "", outcome);
  } catch (const std::exception& failure) {
    log_warn("{}: {}; the audit could not be written: {}", what, outcome, failure.what());
  }
}

}  // namespace

Cutover::Cutover(const Settings& settings, const std::filesystem::path& state_dir,
                 const std::string& state_path, Coordination& coordination, ControlStore& store,
                 SourceWorker& source, ApplyWorker& apply, std::unique_ptr<WayBack> way_back)
    : legacy_(make_legacy(settings)),
      way_back_(std::move(way_back)),
      back_(*way_back_, coordination),
      journal_(std::make_unique<RunJournal>((state_dir / "control.db").string())),
      hooks_(settings.hooks, [&store](const std::string& what,
                                      const std::string& outcome) { audit_hook(store, what, outcome); }),
      parts_{settings,  state_path, coordination, store, source, apply,
             *journal_, *legacy_,   *way_back_,   back_, hooks_},
      knows_live_side_(!journal_->last()) {}

Cutover::~Cutover() {
  stop();
}

Order Cutover::usual_order() const {
  const auto& settings = parts_.settings.cutover;
  Order order;
  order.max_hold = settings.max_hold;
  order.max_lag = settings.max_lag;
  order.calm = settings.calm;
  order.timeout = settings.timeout;
  order.attempts = settings.attempts;
  return order;
}

// --- after a start ---

void Cutover::look_back() {
  take_up_last_run();
  knows_live_side_ = true;
}

void Cutover::take_up_last_run() {
  if (const auto last = journal_->last()) let_go_at_once(*last);
  auto found = look_at_both(parts_);
  const bool goes_on = found.decision.kind == Decision::Kind::go_on;
  way_back_->resume();  // before the way back begins, or is built anew: that takes away what is consumed here
  if (goes_on)
    settled_ = found.settled, live_ = live_after(settled_);  // the run itself sees to the rest
  else
    settle_on(found.settled);
  if (!found.last) return;
  note(*found.last, nullptr);
  if (found.decision.kind == Decision::Kind::abort) give_up_after_crash(*found.last);
  if (!goes_on) return;
  const bool source_is_open = found.last->mode == Mode::rollback && found.decision.from > Step::open;
  parts_.coordination.park(!source_is_open);
  log_warn("the {} {} goes on with the step {}", name_of(found.last->mode), found.last->id,
           name_of(found.decision.from));
  found.last->step = found.decision.from;
  Order order = usual_order();
  order.mode = found.last->mode;
  order.by = "tidegate";
  order.reason = "restart";
  order.no_way_back = found.last->way_back_start.empty();
  waiting_ = Waiting{*found.last, order, true};
  step_ = found.last->step;
}

// The side that a run has made live: while it is the target, nothing is captured or applied, and the way back
// runs.
void Cutover::settle_on(const std::optional<Run>& settled) {
  {
    std::lock_guard lock(mutex_);
    settled_ = settled;
    live_ = live_after(settled);
  }
  tell_of_switch(settled);
  came_back_ = settled && settled->mode == Mode::rollback;
  past_fence_.reset();
  next_look_at_tables_ = {};
  parts_.coordination.clear_report("fence-passed");
  parts_.coordination.clear_report("way-back-incomplete");
  parts_.coordination.park(is_target_live());
  if (!is_target_live()) return;
  legacy_->mend_fence(settled->id);
  start_way_back(*settled);
}

// What became of its hooks is known to the journal, and to no report before this start.
void Cutover::tell_of_switch(const std::optional<Run>& settled) {
  if (settled && !settled->reason.empty())
    parts_.coordination.report("hook-failed", settled->reason);
  else
    parts_.coordination.clear_report("hook-failed");
}

// One that was being built anew is begun again. Its start is journalled once the legacy database has it.
void Cutover::start_way_back(const Run& settled) {
  if (settled.way_back_start != being_rebuilt) return back_.start(settled.way_back_start);
  back_.rebuild([this, settled](const std::string& start) {
    Run run = settled;
    run.way_back_start = start;
    journal_->enter(run);
    failpoint("rebuild-journalled");
  });
}

// What waits outside since the hook on-hold must not wait until both databases answer. Short of the intent
// nothing can have moved the live side, whatever they say. A crash in between does it again.
void Cutover::let_go_at_once(Run run) {
  if (run.step < Step::prepare || run.step >= Step::intent) return;
  Order order = usual_order();
  order.mode = run.mode;
  run.reason = ended_early;
  Executor(parts_, order, abort_).let_go(run);
}

// What was done outside is undone before the journal says that it is over: a crash in between does it again.
void Cutover::give_up_after_crash(Run run) {
  Order order = usual_order();
  order.mode = run.mode;
  run.reason = ended_early;
  if (run.step == Step::intent) Executor(parts_, order, abort_).let_go(run);
  run.step = Step::aborted;
  journal_->enter(run);
  failpoint("cutover-given-up");
  note(run, nullptr);
}

// --- the thread ---

void Cutover::start() {
  thread_ = std::jthread([this](std::stop_token stop) {
    try {
      work(stop);
    } catch (...) {
      parts_.coordination.fail(std::current_exception());
    }
  });
}

void Cutover::stop() {
  thread_ = {};
  back_.stop();
}

void Cutover::wait(milliseconds time, bool can_be_aborted, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, time, [&] {
    return (can_be_aborted && abort_) || parts_.coordination.stop_token().stop_requested();
  });
}

// The side that was left is looked at between two orders. Absent: the stop came.
std::optional<Cutover::Waiting> Cutover::next_order(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (is_target_live())
      look_at_leftovers();
    else if (came_back_)
      look_at_target();
    std::unique_lock lock(mutex_);
    const auto ordered = [&] { return waiting_.has_value(); };
    if (live_ == Side::target || came_back_)
      wake_.wait_for(lock, stop, between_looks, ordered);
    else
      wake_.wait(lock, stop, ordered);
    if (!waiting_) continue;
    busy_ = true;
    return std::exchange(waiting_, std::nullopt);
  }
  return std::nullopt;
}

void Cutover::work(std::stop_token stop) {
  while (auto next = next_order(stop)) {
    if (next->journalled || begins(next->run)) {
      failpoint("cutover-begun");
      carry_out(next->run, next->order, stop);
    }
    std::lock_guard lock(mutex_);
    busy_ = false;
  }
}

bool Cutover::begins(Run run) {
  try {
    journal_->begin(run);
    return true;
  } catch (const Error& failure) {
    run.step = Step::aborted;
    run.reason = std::string("it could not be journalled: ") + failure.what();
    log_warn("{} {}: {}", name_of(run.mode), run.id, run.reason);
    note(run, nullptr);
    return false;
  }
}

// Where the step cannot be journalled (the disk is full): short of the point of no return the live side is
// let go first of all, and the run is over; past it there is no other way than on. False where the daemon
// ends before there is room.
bool Cutover::enter(Run& run, bool was_past_return, Executor& executor, std::stop_token stop) {
  for (bool let_go = false;;) {
    try {
      journal_->enter(run);
      parts_.coordination.clear_report("cutover-not-journalled");
      return true;
    } catch (const Error& failure) {
      parts_.coordination.report("cutover-not-journalled",
                                 std::string("a step cannot be journalled: ") + failure.what());
      if (!was_past_return && !let_go) {
        run.reason = std::string("a step could not be journalled: ") + failure.what();
        executor.let_go(run);
        run.step = Step::aborted;
        let_go = true;
      }
    }
    wait(first_pause, false, stop);
    if (stop.stop_requested() || parts_.coordination.stop_token().stop_requested()) return false;
  }
}

void Cutover::carry_out(Run run, const Order& order, std::stop_token stop) {
  Executor executor(parts_, order, abort_);
  const auto until = Clock::now() + order.timeout;
  while (!is_end(run.step)) {
    note(run, &executor);
    log_info("{} {}: {}", name_of(run.mode), run.id, name_of(run.step));
    const Outcome outcome = executor.perform(run);
    const bool ends = stop.stop_requested() || parts_.coordination.stop_token().stop_requested();
    if (ends && is_past_return(run.step) && outcome != Outcome::done) return;  // the next start goes on
    if (abort_ && !is_past_return(run.step) && run.reason.empty()) run.reason = "aborted by an operator";
    if (ends && !is_past_return(run.step)) run.reason = "the daemon was told to end";
    const Situation situation{abort_ || ends || Clock::now() > until};
    if (!make_move(run, after(run, outcome, situation), executor, stop)) return;
  }
  executor.tell_end(run);
  end(run, executor);
  if (run.step == Step::watch) settle_on(run);
}

// False where the daemon ends first.
bool Cutover::make_move(Run& run, const Move& move, Executor& executor, std::stop_token stop) {
  if (move.let_go) executor.let_go(run, move.pause && !abort_);
  if (move.pause) {
    auto time = first_pause * (1 << std::min<std::uint64_t>(run.attempt - 1, 5));
    if (run.step == Step::open || run.step == Step::intent) {
      time = first_pause;
      parts_.coordination.report("cutover-open", run.reason);
    }
    wait(std::min<milliseconds>(time, longest_pause), !is_past_return(move.to), stop);
    if (stop.stop_requested() || parts_.coordination.stop_token().stop_requested()) {
      if (is_past_return(move.to)) return false;
      run.step = Step::aborted;
      return enter(run, false, executor, stop);
    }
  }
  const bool was_past_return = is_past_return(run.step);
  if (move.to == Step::prepare && run.step != Step::guard) ++run.attempt;
  if (abort_ && move.pause && !is_past_return(move.to)) {
    run.step = Step::aborted;
    run.reason = "aborted by an operator";
  } else {
    run.step = move.to;
  }
  if (!is_end(run.step)) run.reason.clear();
  if (!enter(run, was_past_return, executor, stop)) return false;
  failpoint("cutover-entered");
  return true;
}

// --- while the target is live ---

// Who could still write to the old side, and whether the fence is whole.
void Cutover::look_at_leftovers() {
  try {
    auto users = legacy_->users(0);
    const auto refused = legacy_->refused_writes();
    {
      std::lock_guard lock(mutex_);
      shown_.source_open_by = std::move(users);
      shown_.refused_writes = refused;
    }
    const auto rejects = way_back_->rejects();
    {
      std::lock_guard lock(mutex_);
      rejects_ = rejects;
    }
    const auto open = legacy_->unfenced();
    parts_.coordination.clear_report("fence-broken");
    for (const auto& table : open)
      parts_.coordination.report(
          "fence-broken", "the application can write to the old database: table " + table + " has no fence",
          table);
    look_past_fence();
    look_for_new_tables();
  } catch (const std::exception& failure) {
    log_debug("looking at the fence: {}", failure.what());
  }
}

// Who was let through all the same. After the next cutover it begins anew.
void Cutover::look_past_fence() {
  if (!past_fence_) past_fence_ = nothing_past_fence(target_to_look_at(), parts_.settings.pipeline);
  target_look_.reset();
  cutover::look_past_fence(parts_.state_path, *past_fence_);
  if (const auto what = in_words(*past_fence_); !what.empty())
    parts_.coordination.report("fence-passed", what);
  else
    parts_.coordination.clear_report("fence-passed");
}

// What the new application has added, which no way back follows.
void Cutover::look_for_new_tables() {
  if (Clock::now() < next_look_at_tables_) return;
  const auto what = in_words(left_behind(parts_.store, target_to_look_at(), parts_.settings.pipeline));
  target_look_.reset();
  next_look_at_tables_ = Clock::now() + between_looks_at_tables;
  if (what.empty())
    parts_.coordination.clear_report("way-back-incomplete");
  else
    parts_.coordination.report("way-back-incomplete", what);
}

postgres::Connection& Cutover::target_to_look_at() {
  if (!target_look_)
    target_look_ = std::make_unique<postgres::Connection>(
        connect_target(connect_options(parts_.settings, "tidegate look")));
  return *target_look_;
}

// After a rollback it is the target whose fence refuses those that have not moved.
void Cutover::look_at_target() {
  try {
    const auto refused = refusals(target_to_look_at(), parts_.settings.pipeline);
    std::lock_guard lock(mutex_);
    shown_.refused_writes = refused;
  } catch (const std::exception& failure) {
    target_look_.reset();
    log_debug("looking at the target's fence: {}", failure.what());
  }
}

// --- what is asked of it ---

// Once a run may have written down where the way back starts, nobody else makes its slot anew.
std::vector<Finding> Cutover::dry_run(const Order& order, std::stop_token stop) {
  {
    std::lock_guard lock(mutex_);
    if (order.mode != Mode::rollback && (live_ == Side::target || (!is_end(step_) && step_ > Step::guard)))
      throw Refused("wrong-phase", "a cutover or rollback is under way", "tidegate status --watch");
  }
  return make_passage(parts_, order)->examine(0ms, stop);
}

std::string Cutover::begin(const Order& order) {
  std::lock_guard lock(mutex_);
  if (waiting_ || (busy_ && !is_end(step_)))
    throw Refused("wrong-phase", "a cutover or rollback is under way", "tidegate status --watch");
  Run run;
  run.id = new_run_id();
  run.mode = order.mode;
  run.attempts = order.attempts;
  parts_.store.audit(std::string(name_of(order.mode)), order.by, order.reason, run.id);
  waiting_ = Waiting{run, order, false};
  abort_ = false;  // here, not where the thread takes it up: until then it can be aborted too
  step_ = Step::guard;
  mode_ = run.mode;
  shown_ = {};
  shown_.run = run.id;
  shown_.mode = name_of(run.mode);
  shown_.step = name_of(run.step);
  wake_.notify_all();
  return run.id;
}

std::string Cutover::switch_again(const Order& order) {
  std::lock_guard lock(mutex_);
  auto run = journal_->settled();
  if (!run || run->mode != order.mode || waiting_ || busy_)
    throw Refused("wrong-phase", "there is no switch to go on with", "`tidegate status` shows the phase");
  run->step = Step::switching;
  run->reason.clear();
  journal_->enter(*run);
  failpoint("switch-taken-up");
  waiting_ = Waiting{*run, order, true};
  abort_ = false;
  shown_.outcome.clear();
  step_ = Step::switching;
  mode_ = run->mode;
  parts_.store.audit(std::string(name_of(order.mode)) + " --continue", order.by, order.reason, run->id);
  wake_.notify_all();
  return run->id;
}

void Cutover::rebuild_way_back(const std::string& by, const std::string& reason) {
  way_back_->require_rebuildable();
  std::optional<Run> settled;
  {
    std::lock_guard lock(mutex_);
    settled = journal_->settled();
    if (!settled || live_ != Side::target || waiting_ || (busy_ && !is_end(step_)))
      throw Refused("wrong-phase",
                    "a way back is built anew while the target is live and nothing is under way",
                    "`tidegate status` shows the phase");
    settled->way_back_start = being_rebuilt;
    parts_.store.audit("resync --way-back", by, reason, settled->id);
    journal_->enter(*settled);
  }
  failpoint("rebuild-begun");
  start_way_back(*settled);
}

void Cutover::abort(const std::string& by, const std::string& reason) {
  const std::string phase = permission_phase("streaming");
  std::lock_guard lock(mutex_);
  require_permitted("abort", phase);
  abort_ = true;
  parts_.store.audit("abort", by, reason, shown_.run);
  wake_.notify_all();
}

}  // namespace tidegate::cutover
