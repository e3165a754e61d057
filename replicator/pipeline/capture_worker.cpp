#include "replicator/pipeline/capture_worker.hpp"

#include <pthread.h>

#include <algorithm>
#include <thread>

#include "capture/sqlite/journal_mode.hpp"
#include "db/error.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/sqlite_view.hpp"
#include "replicator/verify/sqlite_prover.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

// Capture takes a fifth of one core at most: it rests four times as long as it worked. After a long cut only
// a part of that rest comes at once, so that one long compare among many short ones holds up nobody; the rest
// of it is a debt, let stand up to a bound. Fewer, larger cuts also cost a busy application less: each one
// lets its next commits checkpoint what the cut had held back.
constexpr int rest_factor = 4;
constexpr auto longest_rest_at_once = 250ms;
constexpr auto tolerated_debt = 10s;
constexpr auto longest_nap = 5ms, parked_nap = 5ms;
constexpr auto snapshot_kept = 10s;  // between two absorbs of one rollback
constexpr auto trim_interval = 60s;
constexpr auto first_pause = 100ms, longest_pause = 5000ms;
// Without WAL a read that takes too long lets the lock go. On a busy machine the next one may be quicker; so
// many in a row, over some six seconds, are not the machine's.
constexpr int slow_reads = 7;

// What an operator may mend while the daemon waits: locks, a full disk, a schema that needs a decision.
bool may_pass(const std::exception& failure) {
  if (dynamic_cast<const SchemaNeedsOperator*>(&failure)) return true;
  auto* error = dynamic_cast<const Error*>(&failure);
  if (!error) return false;
  return error->advice() == Advice::retry || error->code() == "SQLITE_FULL" ||
         error->code() == "SQLITE_IOERR" || error->code() == "SQLITE_CANTOPEN";
}

bool is_slow_read(const std::exception& failure) {
  auto* refused = dynamic_cast<const Refused*>(&failure);
  return refused && refused->code() == "wal-needed";
}

void switch_to_wal(const Settings& settings) {
  const std::string& path = settings.source.end.path;
  sqlite::Database live(path, sqlite::Database::Mode::read_write, 1000ms);
  auto consent = settings.source.allow_wal ? capture::Consent::given : capture::Consent::withheld;
  capture::WalPatience patience{10000ms, settings.source.writers == Writers::upgrades ? 0ms : 20ms};
  if (capture::ensure_wal(live, consent, patience) == capture::WalOutcome::refused_by_readers) {
    throw Coded<Refused>("wal-refused",
                         "the database " + path +
                             " was in use without a pause, so it could not be "
                             "switched to WAL",
                         "try again when it is quieter, or switch it by hand (PRAGMA journal_mode=WAL)");
  }
}

}  // namespace

void CaptureWorker::reopen() {
  capture_.reset();
  reader_.reset();
  journal_.reset();
  state_ = std::make_unique<sqlite::Database>(open_state(state_path_));
  journal_ = std::make_unique<Journal>(*state_);
  reader_ = std::make_unique<JournalReader>(state_path_);
  capture_ = std::make_unique<SqliteCapture>(capture_options(settings_), *state_, *journal_);
}

std::optional<PlannedPipeline> CaptureWorker::open(bool approved) {
  switch_to_wal(settings_);
  reopen();
  if (approved && capture_->fill_begun()) return std::nullopt;
  coordination_.update([](Status& status) { status.step = "reading the source"; });
  auto measured = capture_->begin_fill([this](const std::string& table, std::uint64_t rows) {
    if (coordination_.stop_token().stop_requested()) throw Refused("stopped while reading the source");
    coordination_.update([&](Status& status) {
      status.step = "reading the source: table " + table + ", " + std::to_string(rows) + " rows";
    });
  });
  return plan_pipeline(measured, settings_);
}

std::unique_ptr<SourceView> CaptureWorker::view() {
  return std::make_unique<SqliteView>(settings_, state_path_, coordination_);
}

std::unique_ptr<verify::Prover> CaptureWorker::prover(ApplyHold& hold) {
  return verify::make_sqlite_prover(settings_, *this, hold);
}

void CaptureWorker::fill() {
  auto began = std::chrono::steady_clock::now();
  capture_->fill([this](const std::string&, std::uint64_t) {
    if (coordination_.stop_token().stop_requested()) throw Refused("stopped while reading the source");
    coordination_.wake_apply();  // who copies what is there
  });
  coordination_.wake_apply();
  auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began);
  log_event(LogLevel::info, "source read",
            {{"tables", capture_->tables().size()}, {"seconds", took.count()}});
}

namespace {

// Says when a cut is over, however that comes.
class CutScope {
 public:
  explicit CutScope(Coordination& coordination)
      : coordination_(coordination), allowed_(coordination.enter_cut()) {}
  ~CutScope() {
    if (allowed_) coordination_.leave_cut();
  }
  CutScope(const CutScope&) = delete;
  CutScope& operator=(const CutScope&) = delete;
  explicit operator bool() const { return allowed_; }

 private:
  Coordination& coordination_;
  bool allowed_;
};

}  // namespace

// A cut for somebody who waits for one that is held. Where its snapshots could not be had at one commit, the
// next cut tries again.
SqliteCapture::Cut CaptureWorker::take_cut() {
  std::lock_guard lock(order_mutex_);
  if (look_everywhere_.exchange(false)) capture_->look_everywhere();
  if (!order_ || order_->done) return capture_->cut();
  SqliteCapture::Cut cut;
  order_->held = capture_->cut_and_hold(cut, order_->readers);
  order_->done = order_->held != nullptr;
  if (order_->done) order_->taken(*order_->held);
  order_changed_.notify_all();
  return cut;
}

std::unique_ptr<HeldCut> CaptureWorker::hold_cut(int readers, const Taken& taken,
                                                 Coordination::Clock::time_point until,
                                                 const std::stop_token& stop) {
  CutOrder order{readers, taken, nullptr, false};
  std::unique_lock lock(order_mutex_);
  order_ = &order;
  while (!order.done && !stop.stop_requested() && Coordination::Clock::now() < until) {
    coordination_.want_cut();
    auto next_wish = std::min(until, Coordination::Clock::now() + std::chrono::milliseconds(20));
    order_changed_.wait_until(lock, stop, next_wish, [&] { return order.done; });
  }
  order_ = nullptr;
  return std::move(order.held);
}

std::optional<std::chrono::microseconds> CaptureWorker::absorb(bool everything,
                                                               Coordination::Clock::time_point until) {
  std::future<std::chrono::microseconds> answer;
  {
    std::lock_guard lock(order_mutex_);
    answer = absorb_.emplace(AbsorbOrder{everything, {}}).answer.get_future();
  }
  const auto stop = coordination_.stop_token();
  while (!stop.stop_requested() && Coordination::Clock::now() < until) {
    if (answer.wait_for(std::chrono::milliseconds(2)) == std::future_status::ready) return answer.get();
  }
  std::lock_guard lock(order_mutex_);  // waits for one that has begun
  absorb_.reset();
  return std::nullopt;
}

void CaptureWorker::serve_absorb() {
  std::lock_guard lock(order_mutex_);
  if (!absorb_ || !coordination_.parked()) return;
  AbsorbOrder order = std::move(*absorb_);
  absorb_.reset();
  try {
    const auto began = std::chrono::steady_clock::now();
    const auto rows = capture_->absorb(order.everything);
    const auto took = std::chrono::steady_clock::now() - began;
    snapshot_until_ = std::chrono::steady_clock::now() + snapshot_kept;
    log_debug("absorbed {} rows of the way back", rows);
    order.answer.set_value(std::chrono::duration_cast<std::chrono::microseconds>(took));
  } catch (...) {
    order.answer.set_exception(std::current_exception());
  }
}

bool CaptureWorker::cut_if_due() {
  if (coordination_.parked()) return false;
  if (!coordination_.cut_wanted() && !capture_->source_moved()) return false;
  CutScope allowed(coordination_);
  if (!allowed) return false;
  auto wish = coordination_.begin_cut();
  if (coordination_.take_full_wish()) capture_->look_everywhere();
  auto cut = take_cut();
  coordination_.cut_done(wish, reader_->end());
  coordination_.clear_report("capture");
  if (cut.changed || !cut.everything_because.empty()) {
    log_debug("cut: {} changes, {} rows compared, {} us{}{}", cut.changes, cut.rows_compared,
              cut.duration.count(),
              cut.everything_because.empty() ? "" : ", everything: ", cut.everything_because);
  }
  last_cut_took_ = cut.duration;
  return true;
}

// Neither a sync nor the application's writers wait for the rest to be over.
void CaptureWorker::rest_after(std::chrono::microseconds work) {
  using std::chrono::steady_clock;
  auto stop = coordination_.stop_token();
  auto now = steady_clock::now();
  std::chrono::microseconds rest = work * rest_factor;
  rested_by_ = std::max(rested_by_, now) + rest;
  auto until = std::max(now + std::min<std::chrono::microseconds>(rest, longest_rest_at_once),
                        rested_by_ - tolerated_debt);
  while (steady_clock::now() < until && !coordination_.cut_wanted() && !stop.stop_requested() &&
         !capture_->slows_writers()) {
    auto left = std::chrono::ceil<std::chrono::microseconds>(until - steady_clock::now());
    std::this_thread::sleep_for(std::min<std::chrono::microseconds>(left, longest_nap));
  }
}

void CaptureWorker::rest_until_next_look() {
  auto began = std::chrono::steady_clock::now();
  if (coordination_.parked()) {
    serve_absorb();
    // A snapshot that is held keeps the WAL from starting over.
    if (began > snapshot_until_) capture_->look_everywhere();
    return std::this_thread::sleep_for(parked_nap);
  }
  capture_->tend();
  auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (took > 0.05) log_debug("the application's WAL was checkpointed: {:.3f} s", took);
  std::this_thread::sleep_for(capture_->poll_interval());
}

void CaptureWorker::trim_now_and_then() {
  auto now = std::chrono::steady_clock::now();
  if (now - trimmed_ < trim_interval) return;
  trimmed_ = now;
  journal_->trim(coordination_.needed_no_more(),
                 std::chrono::duration_cast<std::chrono::seconds>(settings_.journal.retention));
}

// Where cores are scarce the application's threads go first: ours no longer preempts one when it wakes up.
void CaptureWorker::yield_to_the_application() {
  sched_param none{};
  if (pthread_setschedparam(pthread_self(), SCHED_BATCH, &none) != 0)
    log_debug("SCHED_BATCH is not to be had");
}

void CaptureWorker::run() {
  yield_to_the_application();
  auto stop = coordination_.stop_token();
  auto pause = std::chrono::milliseconds(first_pause);
  int slow = 0;
  while (!stop.stop_requested()) {
    try {
      if (!capture_) reopen();
      if (!capture_->filled()) fill();
      if (cut_if_due())
        rest_after(last_cut_took_);
      else
        rest_until_next_look();
      trim_now_and_then();
      coordination_.capture_works();
      pause = first_pause;
      slow = 0;
    } catch (const std::exception& failure) {
      if (stop.stop_requested()) return;
      slow = is_slow_read(failure) ? slow + 1 : 0;
      if (!may_pass(failure) && (slow == 0 || slow == slow_reads)) throw;
      log_warn("capture: {}", failure.what());
      coordination_.report("capture", failure.what());
      coordination_.capture_waits();
      capture_.reset();
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::milliseconds(longest_pause));
    }
  }
}

}  // namespace tidegate
