#include "replicator/verify/job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "db/error.hpp"
#include "replicator/failure.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/verify/unit_queue.hpp"

namespace tidegate::verify {
namespace {

using namespace std::chrono_literals;
using Clock = Coordination::Clock;

constexpr auto between_looks = 200ms, between_tries = 500ms, after_trouble = 2000ms;
constexpr auto patience_for_meeting = 180s;
constexpr std::size_t rows_at_once = 1000;  // that apply is asked to write again
constexpr const char* trouble = "verify";

// Of a daemon that was killed while it sorted.
void remove_leftovers(const std::filesystem::path& state_dir) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(state_dir, ignored))
    if (entry.path().extension() == ".sort") std::filesystem::remove(entry.path(), ignored);
}

void sleep(std::chrono::milliseconds time, const std::stop_token& stop) {
  auto until = Clock::now() + time;
  while (!stop.stop_requested() && Clock::now() < until) std::this_thread::sleep_for(10ms);
}

std::string stage_after(const Report& report) {
  if (report.run.state != "completed") return "failed";
  return report.is_equal() ? "completed" : "failed";
}

bool is_whole(const Request& request) {
  return request.tables.empty() && !request.sample && !request.counts;
}

template <class Answer>
void wait_for(std::future<Answer> answer, const std::stop_token& stop) {
  while (answer.wait_for(between_looks) != std::future_status::ready)
    if (stop.stop_requested()) throw Stopped();
  answer.get();
}

}  // namespace

Job::Job(const Settings& settings, SourceWorker& source, ApplyWorker& apply, Coordination& coordination,
         const std::string& control_path)
    : settings_(settings),
      source_(source),
      apply_(apply),
      coordination_(coordination),
      store_(control_path) {}

Job::~Job() = default;

int Job::jobs(const Request& request) const {
  if (request.jobs > 0) return request.jobs;
  return static_cast<int>(settings_.source.postgres.jobs);
}

Ends Job::ends() const {
  return {settings_.pipeline, masked(settings_.source.end), masked(settings_.target.end)};
}

void Job::resume() {
  remove_leftovers(settings_.state_dir);
  std::lock_guard lock(mutex_);
  auto run = store_.newest();
  if (!run) return;
  if (run->state == "running") return launch(*run);
  if (auto report = store_.report(0); report && is_whole(run->request))
    coordination_.update([&](Status& status) { status.stages.verification = stage_after(*report); });
}

void Job::require_stream() {
  if (!coordination_.is_streaming() || coordination_.paused())
    throw Coded<Refused>("not-streaming",
                         "the two ends can be compared at one position while the pipeline is streaming",
                         "`tidegate status` shows its phase; after a pause: tidegate resume");
  if (busy_) {
    throw Coded<Refused>("verify-runs", "verify is running already",
                         "`tidegate verify status` shows how far it is, `tidegate verify stop` ends it");
  }
}

Run Job::start(const Request& request, const std::string& by) {
  std::lock_guard lock(mutex_);
  require_stream();
  Run run = store_.begin(request, by, ends());
  launch(run);
  return run;
}

void Job::require_live_source() {
  if (coordination_.status().live != "source")
    throw Coded<Refused>("writes-to-live-side",
                         "the target is the live side, and repair would overwrite what was written there",
                         "`tidegate status` shows which side is live");
}

bool Job::maps(const std::string& table) const {
  return is_mapped(maps_of(settings_), table);
}

Run Job::resync(const std::string& table, const std::string& by) {
  std::lock_guard lock(mutex_);
  require_live_source();
  require_stream();
  Request request;
  request.tables = {table};
  request.mend = true;
  Run run = store_.begin(request, by, ends());
  launch(run);
  return run;
}

std::optional<Run> Job::repair(const std::string& by) {
  std::lock_guard lock(mutex_);
  require_live_source();
  require_stream();
  auto report = store_.report();
  if (!report || report->run.state != "completed")
    throw Coded<Refused>("nothing-verified",
                         "repair mends what a completed verify has found, and there is none",
                         "begin with: tidegate verify");
  if (report->differences.empty()) return std::nullopt;
  Request request;
  for (const auto& table : report->tables)
    if (table.differences > 0) request.tables.push_back(table.source);
  Run run = store_.begin(request, by, ends());
  launch(run, std::move(report->differences));
  return run;
}

bool Job::stop() {
  std::lock_guard lock(mutex_);
  if (!busy_) return false;
  given_up_ = true;
  thread_.request_stop();
  thread_.join();
  return true;
}

// The daemon's own stop ends the thread as well, but not the run.
void Job::launch(Run run, std::vector<Difference> repairs) {
  busy_ = true;
  given_up_ = false;
  rows_ = rows_at_start_ = store_.progress(run.id).rows;
  began_ = Clock::now();
  thread_ =
      std::jthread([this, run = std::move(run), repairs = std::move(repairs)](const std::stop_token& own) {
        std::stop_source either;
        std::stop_callback by_us(own, [&] { either.request_stop(); });
        std::stop_callback by_daemon(coordination_.stop_token(), [&] { either.request_stop(); });
        work(run, repairs, either.get_token());
        busy_ = false;
      });
}

void Job::wait_for_target(Clock::time_point until, const std::stop_token& stop) {
  const auto end = coordination_.wait_for_cut(coordination_.want_cut(), until, stop);
  if (end) coordination_.wait_for_applied(*end, until, stop);
}

// Where capture's copy is wrong, a cut that compares everything brings what it had missed into the stream.
void Job::capture_again(const std::stop_token& stop) {
  source_.look_everywhere();
  wait_for_target(Clock::now() + patience_for_meeting, stop);
}

// A daemon that dies here leaves the rest as it is: the run that goes on names it.
// Rows that are too many go first: others may want their unique values.
void Job::rewrite(std::vector<Difference> repairs, const std::stop_token& stop) {
  std::stable_partition(repairs.begin(), repairs.end(),
                        [](const Difference& each) { return each.kind == Kind::extra; });
  std::vector<RowName> rows;
  bool shadow = false;
  for (const Difference& difference : repairs) {
    shadow = shadow || difference.side == Side::shadow;
    // Beside rows that others had in the target before, nobody can tell whose one is that no source row
    // makes.
    if (difference.key_bytes.empty() || (!difference.version.empty() && settings_.adopt)) continue;
    rows.push_back({difference.table, decode_row(difference.key_bytes), difference.version});
  }
  if (shadow) capture_again(stop);
  for (std::size_t i = 0; i < rows.size() && !stop.stop_requested(); i += rows_at_once) {
    auto first = rows.begin() + static_cast<std::ptrdiff_t>(i);
    auto count = static_cast<std::ptrdiff_t>(std::min(rows_at_once, rows.size() - i));
    wait_for(apply_.rewrite(std::vector<RowName>(first, first + count)), stop);
  }
}

// A further round, which begins by mending what the last one found; none where that found no fewer than the
// one before.
bool Job::go_on_mending(Run& run, std::vector<Difference>& repairs, std::optional<std::uint64_t>& before) {
  if (!run.request.mend) return false;
  auto report = store_.report().value();
  if (report.differences.empty() || (before && report.differing >= *before)) return false;
  before = report.differing;
  repairs = std::move(report.differences);
  run = store_.begin(run.request, run.by, run.ends);
  rows_ = rows_at_start_ = 0;
  began_ = Clock::now();
  return true;
}

// A mapped table that a change of its schema had stopped streams again before its rows are mended.
void Job::rejoin(const Run& run, const std::stop_token& stop) {
  if (!run.request.mend) return;
  for (const auto& table : run.request.tables) wait_for(apply_.resync(table), stop);
}

void Job::settle(const Run& run, const std::stop_token& stop) {
  if (!run.request.mend || !store_.report().value().is_equal()) return;
  for (const auto& table : run.request.tables) wait_for(apply_.in_line(table), stop);
}

void Job::work(Run run, std::vector<Difference> repairs, const std::stop_token& stop) {
  std::optional<std::uint64_t> before;
  while (!stop.stop_requested()) {
    try {
      if (!wait_for_stream(stop)) break;
      rejoin(run, stop);
      rewrite(repairs, stop);
      repairs.clear();
      run_through(run, stop);
      coordination_.clear_report(trouble);
      finish(run);
      if (go_on_mending(run, repairs, before)) continue;
      settle(run, stop);
      if (!run.request.continuous) return;
      sleep(run.request.rest, stop);
      if (stop.stop_requested()) return;
      run = store_.begin(run.request, run.by, run.ends);
      rows_ = rows_at_start_ = 0;
      began_ = Clock::now();
    } catch (const Stopped&) {
      break;
    } catch (const std::exception& failure) {
      auto* error = dynamic_cast<const Error*>(&failure);
      log_warn("verify: {}", failure.what());
      coordination_.report(trouble, failure.what());
      if (!error || error->advice() == Advice::stop) {
        store_.end(run.id, "failed", failure.what());
        coordination_.update([](Status& status) { status.stages.verification = "failed"; });
        return;
      }
      sleep(after_trouble, stop);
    }
  }
  if (!given_up_) return;
  store_.end(run.id, "stopped", "");
  coordination_.update([](Status& status) { status.stages.verification = "pending"; });
}

bool Job::wait_for_stream(const std::stop_token& stop) {
  while (!stop.stop_requested() && (!coordination_.is_streaming() || coordination_.paused()))
    sleep(between_looks, stop);
  return !stop.stop_requested();
}

std::unique_ptr<Meeting> Job::meet(Prover& prover, int jobs, const std::stop_token& stop) {
  auto until = Clock::now() + patience_for_meeting;
  while (!stop.stop_requested()) {
    if (auto meeting = prover.meet(jobs, stop)) return meeting;
    if (stop.stop_requested()) break;
    if (Clock::now() > until)
      throw Coded<Refused>("verify-no-meeting",
                           "the target could not be had at a position of the source: apply does not come to "
                           "rest within 1.5 s",
                           "`tidegate status` shows the lag; try again when it is small");
    sleep(between_tries, stop);
    wait_for_target(until, stop);  // else two holds in a row would add to the stream's lag
  }
  throw Stopped();
}

// A table that is being copied again shows no state that the source had. What maps make of one that is
// stopped nobody knows.
std::vector<Remark> Job::leave_out_resync(std::vector<Unit>& units) {
  std::vector<Remark> remarks;
  for (const TableStatus& table : coordination_.status().tables) {
    const bool stopped = table.left_out && maps(table.source);
    if (table.state != "resync" && !stopped) continue;
    auto left_out = std::erase_if(units, [&](const Unit& unit) {
      return unit.table == table.source || unit.table.starts_with(table.source + " -> ");
    });
    if (left_out > 0)
      remarks.push_back(
          {false, "verify-table-in-resync", table.source,
           stopped ? "is stopped, and was left out" : "is being copied again, and was left out"});
  }
  return remarks;
}

void Job::plan(Run& run, Meeting& meeting) {
  auto units = meeting.units(run.request);
  if (units.empty())
    throw Coded<Refused>("verify-no-table", "no replicated table is meant",
                         "`tidegate status` lists them; --table takes the source's names and patterns");
  auto remarks = leave_out_resync(units);
  bool rows_only = run.request.counts || run.request.sample;
  if (!rows_only)
    for (Remark& remark : meeting.remarks(units)) remarks.push_back(std::move(remark));
  store_.plan(run.id, units, remarks);
  run.planned = true;
}

// A way back that has no journal yet has seen nobody write.
void Job::note_way_back(const Run& run) {
  const auto path = settings_.state_dir / "back.db";
  if (!std::filesystem::exists(path)) return;
  try {
    JournalReader journal(path.string());
    store_.note_way_back(run.id, {journal.incarnation(), journal.end()});
  } catch (const Error& error) {
    log_debug("verify: {}", error.what());
  }
}

void Job::run_through(Run& run, const std::stop_token& stop) {
  if (is_whole(run.request))
    coordination_.update([](Status& status) { status.stages.verification = "in_progress"; });
  if (is_whole(run.request) && !run.planned) note_way_back(run);
  auto prover = source_.prover(apply_.hold());
  do {
    auto meeting = meet(*prover, jobs(run.request), stop);
    if (!run.planned) plan(run, *meeting);
    compare(run, *meeting, stop);
    if (stop.stop_requested()) throw Stopped();
  } while (!store_.pending(run.id).empty());
}

void Job::compare(const Run& run, Meeting& meeting, const std::stop_token& stop) {
  UnitQueue queue(meeting, store_.pending(run.id));
  auto work = [&] {
    try {
      auto worker = meeting.worker();
      while (auto unit = queue.take(*worker)) {
        Findings findings;
        worker->check(
            *unit, run.request, [&](std::uint64_t rows) { compared(rows, run.request.rate, stop); }, stop,
            findings);
        if (stop.stop_requested()) throw Stopped();
        store_.finish(run.id, *unit, meeting.position(), findings);
      }
    } catch (...) {
      queue.fail(std::current_exception());
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < jobs(run.request); ++i) threads.emplace_back(work);
  }
  queue.rethrow();
}

void Job::compared(std::uint64_t rows, std::uint64_t rate, const std::stop_token& stop) {
  auto all = rows_ += rows;
  while (rate > 0 && !stop.stop_requested()) {
    auto due = began_.load() + std::chrono::microseconds((all - rows_at_start_) * 1'000'000 / rate);
    if (Clock::now() >= due) break;
    std::this_thread::sleep_for(std::min<Clock::duration>(due - Clock::now(), 10ms));
  }
  if (stop.stop_requested()) throw Stopped();
}

void Job::finish(const Run& run) {
  store_.end(run.id, "completed", "");
  auto report = store_.report(0).value();
  log_event(LogLevel::info, "verify completed",
            {{"run", run.id}, {"rows", report.rows}, {"differences", report.differing}});
  if (is_whole(run.request))
    coordination_.update([&](Status& status) { status.stages.verification = stage_after(report); });
  coordination_.clear_report("verify-differences");
  if (report.differing > 0)
    coordination_.report(
        "verify-differences",
        fmt::format("verify found {} differences; `tidegate verify status` names them", report.differing));
}

std::optional<VerifyStatus> Job::status() {
  if (!busy_) return std::nullopt;
  auto run = store_.newest();
  if (!run || run->state != "running") return std::nullopt;
  auto progress = store_.progress(run->id);
  VerifyStatus status{rows_, progress.rows_expected, 0, progress.differences, {}};
  double seconds = std::chrono::duration<double>(Clock::now() - began_.load()).count();
  double rate = seconds > 0 ? static_cast<double>(rows_ - rows_at_start_) / seconds : 0;
  status.rows_per_second = static_cast<std::uint64_t>(rate);
  if (rate > 0 && status.rows_expected > status.rows)
    status.seconds_left = static_cast<double>(status.rows_expected - status.rows) / rate;
  return status;
}

std::string Job::progress_json() {
  namespace json = boost::json;
  auto run = store_.newest();
  if (!run) return json::serialize(json::object{{"run", nullptr}});
  json::object out{{"run", run->id},
                   {"state", busy_ ? "running" : run->state},  // also between two rounds
                   {"started_at", run->started_at},
                   {"ended_at", run->ended_at},
                   {"error", run->error},
                   {"continuous", run->request.continuous}};
  if (auto now = status()) {
    out["rows"] = now->rows;
    out["rows_expected"] = now->rows_expected;
    out["rows_per_second"] = now->rows_per_second;
    out["differences"] = now->differences;
    if (now->seconds_left) out["eta_seconds"] = *now->seconds_left;
  }
  return json::serialize(out);
}

}  // namespace tidegate::verify
