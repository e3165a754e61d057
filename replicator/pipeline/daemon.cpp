#include "replicator/pipeline/daemon.hpp"

#include <fmt/format.h>

#include <csignal>
#include <thread>

#include "capture/sqlite/file_checks.hpp"
#include "capture/sqlite/journal_mode.hpp"
#include "replicator/control/store.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/apply_worker.hpp"
#include "replicator/pipeline/capture_worker.hpp"
#include "replicator/pipeline/daemon_api.hpp"
#include "replicator/registry.hpp"
#include "replicator/state_dir.hpp"
#include "replicator/version.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

// Blocks the signals before any thread starts, so that all inherit it, and waits for them on a thread of its
// own.
class SignalWatch {
 public:
  explicit SignalWatch(Coordination& coordination) {
    sigemptyset(&signals_);
    for (int signal : {SIGTERM, SIGINT}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    std::signal(SIGPIPE, SIG_IGN);
    thread_ = std::jthread([this, &coordination](std::stop_token stop) {
      while (!stop.stop_requested()) {
        timespec tick{0, 100'000'000};
        if (sigtimedwait(&signals_, nullptr, &tick) > 0) coordination.request_stop();
      }
    });
  }
  ~SignalWatch() {
    thread_ = {};
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t signals_, before_;
  std::jthread thread_;
};

// Runs one worker; what it throws ends the daemon.
template <typename Work>
std::jthread worker(Coordination& coordination, Work work) {
  return std::jthread([&coordination, work] {
    try {
      work();
    } catch (...) {
      coordination.fail(std::current_exception());
    }
  });
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

ApplyWorkerOptions apply_options(const Settings& settings, const std::string& state_path) {
  ApplyWorkerOptions options;
  options.target = {
      {conninfo(settings.target.end, settings.target.ca_file), "tidegate " + settings.pipeline, "", 10s, 30s},
      settings.pipeline};
  options.tables = {plan_options(settings), settings.target.schema == TargetSchema::create, settings.adopt};
  options.limits = {settings.apply.max_rows, settings.apply.max_bytes};
  options.state_path = state_path;
  return options;
}

void refuse_blocking(const PlannedPipeline& planned) {
  for (const auto& finding : planned.findings) {
    if (finding.level == Finding::Level::block)
      throw Coded<Refused>(finding.code, finding.message, finding.mend);
  }
}

// The plan is made once, from the values of the first read; what is kept is what was approved.
bool settle_plan(CaptureWorker& capture, const Settings& settings, ControlStore& store,
                 const std::function<bool(const PlannedPipeline&)>& approve) {
  auto filled = capture.open();
  if (!filled && store.fact("plan_approved")) return true;
  if (!filled) filled = measure_source(capture_options(settings), [](const std::string&, std::uint64_t) {});
  PlannedPipeline planned = plan_pipeline(*filled, settings);
  refuse_blocking(planned);
  if (!approve(planned)) return false;
  store.save_plans(planned.plans);
  store.set_fact("plan_approved", iso_now());
  return true;
}

void show_identity(Coordination& coordination, const Settings& settings) {
  coordination.update([&](Status& status) {
    status.pipeline = settings.pipeline;
    status.source = masked(settings.source.end);
    status.target = masked(settings.target.end);
    status.pid = getpid();
    status.version = program_version;
    status.phase = "new";
  });
}

}  // namespace

PlanOptions plan_options(const Settings& settings) {
  PlanOptions options;
  for (const auto& rule : settings.rules)
    options.rules.push_back({rule.table, rule.column, {rule.on, rule.remedy}});
  for (const auto& grant : settings.target.grants) options.grants.push_back({grant.role, grant.privileges});
  options.revoke_from = {"anon", "authenticated", "service_role"};
  return options;
}

CaptureOptions capture_options(const Settings& settings) {
  return {settings.source.end.path, settings.tables.include, settings.tables.exclude,
          settings.source.on_schema_change == OnSchemaChange::carry,
          settings.source.writers == Writers::waits};
}

PlannedPipeline plan_pipeline(const std::vector<FilledTable>& tables, const Settings& settings) {
  PlannedPipeline planned;
  PlanOptions options = plan_options(settings);
  for (const auto& table : tables) {
    auto one = plan_table(table.source, table.measure, options);
    planned.tables.push_back(table.source);
    planned.measures.push_back(table.measure);
    planned.plans.push_back(std::move(one.plan));
    planned.findings.insert(planned.findings.end(), one.findings.begin(), one.findings.end());
  }
  auto ddl = make_ddl(planned.tables, planned.plans, options);
  planned.findings.insert(planned.findings.end(), ddl.findings.begin(), ddl.findings.end());
  return planned;
}

void run_daemon(const Settings& settings, const std::function<bool(const PlannedPipeline&)>& approve) {
  capture::require_local_database(settings.source.end.path);
  StateDir state_dir(settings.state_dir, settings.pipeline);
  std::string state_path = state_dir.file("state.db");
  ControlStore store(state_dir.file("control.db"));
  Coordination coordination;
  SignalWatch signals(coordination);
  show_identity(coordination, settings);
  Registry(process_environment()).add({settings.pipeline, state_dir.path()});

  ApplyWorkerOptions options = apply_options(settings, state_path);
  postgres::Connection(
      options.target.connect);  // a wrong address or password is told before the source is read
  switch_to_wal(settings);
  CaptureWorker capture({capture_options(settings), state_path,
                         std::chrono::duration_cast<std::chrono::seconds>(settings.journal.retention)},
                        coordination);
  if (!settle_plan(capture, settings, store, approve)) return;
  ApplyWorker apply(options, coordination, store);
  DaemonApi api(coordination, store, apply, options.target, state_path);
  control::ApiServer server(api_socket(state_dir.path()),
                            [&](const control::Request& request) { return api.answer(request); });
  log_info("pipeline {} runs", settings.pipeline);
  std::jthread capturing = worker(coordination, [&] { capture.run(); });
  std::jthread applying = worker(coordination, [&] { apply.run(); });
  try {
    coordination.wait_for_end();
  } catch (...) {
    server.stop();
    throw;
  }
  server.stop();
  log_info("pipeline {} ends", settings.pipeline);
}

}  // namespace tidegate
