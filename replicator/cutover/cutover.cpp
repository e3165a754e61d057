#include "replicator/cutover/cutover.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "apply/postgres/target_fence.hpp"
#include "capture/sqlite/fence.hpp"
#include "capture/sqlite/users_of_file.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/executor.hpp"
#include "replicator/cutover/guard.hpp"
#include "replicator/cutover/permitted.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto first_pause = 1000ms, longest_pause = 30'000ms;
constexpr auto settle_time = 30s;
constexpr auto between_looks = 2s;  // at who has not moved

// "20260301T123456-9f3a": sorts by time, and is a plain word in SQL and in file names.
std::string new_run_id() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y%m%dT%H%M%S}-{:04x}", fmt::gmtime(now), std::random_device{}() & 0xffff);
}

const char* level_name(Finding::Level level) {
  return level == Finding::Level::block ? "block" : level == Finding::Level::warn ? "warn" : "note";
}

const char* outcome_of(const Run& run, bool refused) {
  if (run.step == Step::watch) return "done";
  if (run.step == Step::rehearsed) return "rehearsed";
  return run.step == Step::aborted ? (refused ? "refused" : "aborted") : "";
}

std::string mode_name(Mode mode) {
  return mode == Mode::rehearse ? "rehearse" : "cutover";
}

}  // namespace

Cutover::Cutover(const Settings& settings, const std::filesystem::path& state_dir,
                 const std::string& state_path, Coordination& coordination, ControlStore& store,
                 ApplyWorker& apply, std::unique_ptr<WayBack> way_back)
    : way_back_(std::move(way_back)),
      journal_(std::make_unique<RunJournal>((state_dir / "control.db").string())),
      hooks_(settings.hooks,
             [&store](const std::string& what, const std::string& outcome) {
               store.audit(what, "tidegate", "", outcome);
             }),
      parts_{settings, state_path, coordination, store, apply, *journal_, *way_back_, hooks_} {}

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

namespace {

SourceSays ask_source(const std::string& path, const std::optional<Run>& last) {
  if (last && last->step == Step::intent) return {capture::settle_fence(path, settle_time)};
  sqlite::Database live(path, sqlite::Database::Mode::read_write, 5000ms);
  live.execute("PRAGMA query_only = ON");
  return {capture::fenced_by(live)};
}

// A target that is away is waited for: nothing may be done before it has said which side is live.
TargetSays ask_target_for_sure(const Settings& settings, Coordination& coordination) {
  while (!coordination.stop_token().stop_requested()) {
    try {
      auto target = connect_target(connect_options(settings, "tidegate look"));
      auto says = ask_target(target, settings.pipeline);
      return {says.is_live, says.run};
    } catch (const std::exception& failure) {
      if (!may_pass(told(failure))) throw;
      coordination.update([](Status& status) { status.step = "asking the target which side is live"; });
      log_warn("{}", failure.what());
      std::this_thread::sleep_for(first_pause);
    }
  }
  throw Refused("stopping", "the daemon ended before the target had said which side is live",
                "start it again once the target can be reached");
}

}  // namespace

void Cutover::look_back() {
  const auto& end = parts_.settings.source.end;
  if (end.kind != Endpoint::Kind::sqlite) return;
  auto last = journal_->last();
  const SourceSays source = ask_source(end.path, last);
  TargetSays target;
  if (source.fenced_by || (last && is_past_return(last->step)))
    target = ask_target_for_sure(parts_.settings, parts_.coordination);
  const Decision decision = decide(last, source, target);
  if (decision.kind == Decision::Kind::half_done)
    throw Refused(
        "half-done", "the journal and the databases disagree about the last cutover: " + decision.why,
        "change nothing; `tidegate explain half-done` says how to find out which side has the newest rows");
  if (last) note(*last, nullptr);
  if (decision.kind == Decision::Kind::abort) give_up_after_crash(*last);
  if (decision.kind != Decision::Kind::go_on) return;
  parts_.coordination.park(true);
  log_warn("the cutover {} goes on with the step {}", last->id, name_of(decision.from));
  last->step = decision.from;
  Order order = usual_order();
  order.by = "tidegate";
  order.reason = "restart";
  order.no_way_back = last->way_back_start.empty();
  waiting_ = Waiting{*last, order, true};
  step_ = last->step;
}

// What was done outside is undone before the journal says that it is over: a crash in between does it again.
void Cutover::give_up_after_crash(Run run) {
  const Order order = usual_order();
  run.reason = "the daemon ended before the point of no return";
  if (run.step >= Step::prepare) Executor(parts_, order, abort_).let_go(run);
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
}

void Cutover::wait(milliseconds time, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, time,
                 [&] { return abort_.load() || parts_.coordination.stop_token().stop_requested(); });
}

void Cutover::work(std::stop_token stop) {
  while (!stop.stop_requested()) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, stop, [&] { return waiting_.has_value(); });
    if (!waiting_) return;
    Waiting next = std::move(*waiting_);
    waiting_.reset();
    busy_ = true;
    abort_ = false;
    lock.unlock();
    if (!next.journalled) journal_->begin(next.run);
    failpoint("cutover-begun");
    carry_out(next.run, next.order, stop);
    lock.lock();
    busy_ = false;
  }
}

void Cutover::carry_out(Run run, const Order& order, std::stop_token stop) {
  Executor executor(parts_, order, abort_);
  const auto until = Clock::now() + order.timeout;
  while (!is_end(run.step)) {
    note(run, &executor);
    log_info("cutover {}: {}", run.id, name_of(run.step));
    const Outcome outcome = executor.perform(run);
    const bool ends = stop.stop_requested() || parts_.coordination.stop_token().stop_requested();
    if (ends && is_past_return(run.step) && outcome != Outcome::done) return;  // the next start goes on
    if (abort_ && run.reason.empty()) run.reason = "aborted by an operator";
    const Situation situation{abort_ || ends || Clock::now() > until};
    if (!make_move(run, after(run, outcome, situation), executor, stop)) return;
  }
  end(run, executor);
  if (run.step == Step::watch) watch(run, stop);
}

// False where the daemon ends first.
bool Cutover::make_move(Run& run, const Move& move, Executor& executor, std::stop_token stop) {
  if (move.let_go) executor.let_go(run);
  if (move.pause) {
    auto time = first_pause * (1 << std::min<std::uint64_t>(run.attempt - 1, 5));
    if (run.step == Step::open || run.step == Step::intent) {
      time = first_pause;
      parts_.coordination.report("cutover-open", run.reason);
    }
    wait(std::min<milliseconds>(time, longest_pause), stop);
    if (stop.stop_requested() || parts_.coordination.stop_token().stop_requested()) {
      if (is_past_return(move.to)) return false;
      run.step = Step::aborted;
      journal_->enter(run);
      return true;
    }
  }
  if (move.to == Step::prepare && run.step != Step::guard) ++run.attempt;
  if (abort_ && move.pause && !is_past_return(move.to)) {
    run.step = Step::aborted;
    run.reason = "aborted by an operator";
  } else {
    run.step = move.to;
  }
  if (!is_end(run.step)) run.reason.clear();
  journal_->enter(run);
  failpoint("cutover-entered");
  return true;
}

void Cutover::end(const Run& run, const Executor& executor) {
  note(run, &executor);
  const bool refused = blocks(executor.findings());
  {
    std::lock_guard lock(mutex_);
    shown_.outcome = outcome_of(run, refused);
  }
  parts_.store.audit(mode_name(run.mode) + " ended", "tidegate", run.reason, std::string(name_of(run.step)));
  log_info("cutover {}: {}{}{}", run.id, name_of(run.step), run.reason.empty() ? "" : ": ", run.reason);
}

// --- once the target is live ---

void Cutover::watch(const Run& run, std::stop_token stop) {
  std::jthread back([&](std::stop_token ended) {
    try {
      if (!run.way_back_start.empty()) way_back_->run(run.way_back_start, ended);
    } catch (const std::exception& failure) {
      log_error("way back: {}", failure.what());
      parts_.coordination.report("way-back-failed", failure.what());
    }
  });
  while (!stop.stop_requested()) {
    look_at_leftovers();
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, between_looks, [&] { return waiting_.has_value(); });
    if (waiting_) return;
  }
}

// SQLite cannot say how often it refused a write; it can be seen who still has the file open, and whether the
// fence is whole.
void Cutover::look_at_leftovers() {
  const std::string& path = parts_.settings.source.end.path;
  std::vector<std::string> users;
  for (const auto& user : capture::users_of_file(path))
    users.push_back(fmt::format("{} (pid {})", user.program, user.pid));
  {
    std::lock_guard lock(mutex_);
    shown_.source_open_by = std::move(users);
  }
  try {
    sqlite::Database live(path, sqlite::Database::Mode::read_write, 1000ms);
    live.execute("PRAGMA query_only = ON");
    parts_.coordination.clear_report("fence-broken");
    for (const auto& table : capture::unfenced_tables(live))
      parts_.coordination.report(
          "fence-broken", "the application can write to the old database: table " + table + " has no fence",
          table);
  } catch (const Error& failure) {
    log_debug("looking at the fence: {}", failure.what());
  }
}

// --- what is asked of it ---

std::vector<Finding> Cutover::dry_run(const Order& order, std::stop_token stop) {
  return examine(parts_, order, 0ms, stop);
}

std::string Cutover::begin(const Order& order) {
  std::lock_guard lock(mutex_);
  if (waiting_ || (busy_ && !is_end(step_)))
    throw Refused("wrong-phase", "a cutover is under way", "tidegate status --watch");
  Run run;
  run.id = new_run_id();
  run.mode = order.mode;
  run.attempts = order.attempts;
  waiting_ = Waiting{run, order, false};
  step_ = Step::guard;
  shown_ = {};
  shown_.run = run.id;
  shown_.mode = mode_name(run.mode);
  shown_.step = name_of(run.step);
  parts_.store.audit(mode_name(order.mode), order.by, order.reason, run.id);
  wake_.notify_all();
  return run.id;
}

std::string Cutover::switch_again(const Order& order) {
  auto last = journal_->last();
  std::lock_guard lock(mutex_);
  if (!last || last->step != Step::watch)
    throw Refused("wrong-phase", "there is no switch to go on with", "`tidegate status` shows the phase");
  last->step = Step::switching;
  last->reason.clear();
  journal_->enter(*last);
  waiting_ = Waiting{*last, order, true};
  shown_.outcome.clear();
  step_ = Step::switching;
  parts_.store.audit("cutover --continue", order.by, order.reason, last->id);
  wake_.notify_all();
  return last->id;
}

void Cutover::abort(const std::string& by, const std::string& reason) {
  std::lock_guard lock(mutex_);
  require_permitted("abort", is_end(step_)           ? (step_ == Step::watch ? "reversed" : "streaming")
                             : is_past_return(step_) ? "switching"
                                                     : "cutover");
  abort_ = true;
  parts_.store.audit("abort", by, reason, shown_.run);
  wake_.notify_all();
}

void Cutover::note(const Run& run, const Executor* executor) {
  auto steps = journal_->steps(run.id);
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  std::lock_guard lock(mutex_);
  step_ = run.step;
  shown_.run = run.id;
  shown_.mode = mode_name(run.mode);
  shown_.step = name_of(run.step);
  shown_.attempt = run.attempt;
  shown_.reason = run.reason;
  shown_.steps.clear();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto ended = i + 1 < steps.size() ? steps[i + 1].at_us : now;
    if (is_end(steps[i].step)) continue;
    shown_.steps.push_back({std::string(name_of(steps[i].step)), steps[i].attempt,
                            static_cast<double>(ended - steps[i].at_us) / 1000});
  }
  if (is_end(run.step) && !executor) shown_.outcome = outcome_of(run, false);
  if (!executor) return;
  shown_.hold_ms = executor->hold_ms();
  shown_.findings.clear();
  for (const auto& finding : executor->findings())
    shown_.findings.push_back({level_name(finding.level), finding.code, finding.message, finding.mend});
}

std::string Cutover::permission_phase(const std::string& phase) {
  std::lock_guard lock(mutex_);
  if (step_ == Step::watch) return "reversed";
  if (is_end(step_)) return phase;
  return is_past_return(step_) ? "switching" : "cutover";
}

void Cutover::show(Status& status) {
  std::lock_guard lock(mutex_);
  if (shown_.run.empty()) return;
  status.cutover = shown_;
  const bool over = is_end(step_);
  if (is_past_return(step_)) status.live = step_ == Step::intent ? status.live : "target";
  if (!over) {
    status.phase = "cutover";
    status.step = shown_.step;
    status.next_steps = {"tidegate status --watch"};
    if (!is_past_return(step_)) status.next_steps.push_back("tidegate abort");
  }
  if (step_ != Step::watch) return;
  status.phase = "reversed";
  status.step = "watching";
  const Lag lag = way_back_->lag();
  status.rollback.lag_seconds = lag.seconds;
  status.rollback.ready = lag.seconds.has_value();
  const bool failed = std::any_of(status.errors.begin(), status.errors.end(),
                                  [](const StatusError& error) { return error.code == "hook-failed"; });
  status.next_steps = failed ? std::vector<std::string>{"tidegate cutover --continue", "tidegate rollback"}
                             : std::vector<std::string>{"tidegate status --watch", "tidegate rollback"};
}

}  // namespace tidegate::cutover
