#include "replicator/pipeline/daemon.hpp"

#include <fmt/format.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "apply/mapping/back/condition_check.hpp"
#include "apply/postgres/session.hpp"
#include "capture/sqlite/file_checks.hpp"
#include "replicator/backup/first_backup.hpp"
#include "replicator/control/store.hpp"
#include "replicator/cutover/cutover.hpp"
#include "replicator/cutover/finalize.hpp"
#include "replicator/cutover/let_go_first.hpp"
#include "replicator/cutover/postgres_way_back.hpp"
#include "replicator/cutover/sqlite_way_back.hpp"
#include "replicator/doctor/doctor.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/apply_worker.hpp"
#include "replicator/pipeline/capture_worker.hpp"
#include "replicator/pipeline/daemon_api.hpp"
#include "replicator/pipeline/mapping_samples.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/postgres_worker.hpp"
#include "replicator/pipeline/rounded_columns.hpp"
#include "replicator/pipeline/target_scripts.hpp"
#include "replicator/registry.hpp"
#include "replicator/server_access.hpp"
#include "replicator/state_dir.hpp"
#include "replicator/verify/job.hpp"
#include "replicator/version.hpp"
#include "replicator/who.hpp"

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

ApplyWorkerOptions apply_options(const Settings& settings, const std::string& state_path,
                                 const std::string& keys_path) {
  ApplyWorkerOptions options;
  options.target = {connect_options(settings, "tidegate " + settings.pipeline), settings.pipeline};
  options.tables = tables_options(settings);
  options.limits = {settings.apply.max_rows, settings.apply.max_bytes};
  options.maps = maps_of(settings);
  options.keys = make_key_memory(settings, keys_path);
  options.mapping = mapping_options(settings, options.keys);
  options.state_path = state_path;
  options.seeds = settings.target.seeds;
  options.post_sql = settings.target.post_sql;
  options.realtime = settings.target.realtime;
  return options;
}

// Rows that are there came from the mapping that was approved; another one would make others.
void refuse_another_mapping(const Settings& settings, ControlStore& store) {
  const auto kept = store.fact("mapping").value_or(text_of({}));
  if (kept == mapping_text(settings)) return;
  throw Refused("mapping-changed", "the mapping is not the one with which this pipeline began",
                "bring it back, or begin again with `tidegate reset --target` and a new state directory");
}

// The plan is made once; what is kept is what was approved.
bool settle_plan(SourceWorker& source, const Settings& settings, ControlStore& store,
                 Coordination& coordination, const DaemonHooks& hooks) {
  auto planned = source.open(store.fact("plan_approved").has_value());
  if (!planned) {
    refuse_another_mapping(settings, store);
    return true;
  }
  bool has_tables =
      settings.target.schema == TargetSchema::existing || settings.adopt || !settings.maps.empty();
  if (has_tables && settings.source.end.kind == Endpoint::Kind::sqlite) {
    auto target = connect_target(connect_options(settings, "tidegate look"));
    refuse_blocking(fit_findings(target, *planned, settings));
  }
  refuse_blocking(planned->findings);
  coordination.update([](Status& status) { status.step = "waiting for the plan to be approved"; });
  if (!hooks.approve(*planned, coordination.stop_token())) return false;
  store.save_plans(planned->plans);
  store.set_fact("mapping", mapping_text(settings));
  if (settings.adopt) store.set_fact("adopted", iso_now());
  store.set_fact("plan_approved", iso_now());
  coordination.update([](Status& status) { status.step.clear(); });
  return true;
}

// Another state directory's pipeline of the same name is told before its tables are found to be in the way.
void refuse_other_state_directory(postgres::Connection& target, const Settings& settings,
                                  const std::string& incarnation) {
  if (!target.run("SELECT pg_catalog.to_regclass('tidegate.pipelines') IS NOT NULL").boolean(0, 0)) return;
  auto row =
      target.run("SELECT incarnation FROM tidegate.pipelines WHERE pipeline = $1", {settings.pipeline});
  if (row.rows() == 1 && row.text(0, 0) != incarnation) throw other_state_directory(settings.pipeline);
}

// All that can be refused is refused here, while nothing has been changed on either end.
void look_before_the_first_run(const Settings& settings, const std::string& incarnation) {
  refuse_blocking(examine_machine(settings));
  require_scripts(settings.target);
  PlannedPipeline planned = plan_from_catalogue(settings);
  refuse_blocking(planned.findings);
  auto target = connect_target(connect_options(settings, "tidegate look"));
  refuse_other_state_directory(target, settings, incarnation);
  require_fit(target, planned.plans, tables_options(settings));
  refuse_uncastable(target, settings, planned);
  refuse_blocking(find_rounded(target, settings, planned));
  refuse_blocking(condition_findings(target, maps_of(settings)));
  refuse_blocking(realtime_findings(target, planned, settings));
}

// A target that is away for now does not keep a pipeline that knows its plan from capturing.
void look_at_target(const Settings& settings, bool approved) {
  try {
    refuse_blocking(examine_target(settings));
  } catch (const std::exception& failure) {
    if (!approved || !may_pass(told(failure))) throw;
    log_warn("{}", failure.what());
  }
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

// What `status` says when nobody runs any more. A disk that is full must not hide the failure itself.
void keep_last_status(ControlStore& store, Status status, const std::exception* failure) {
  try {
    status.ended_at = iso_now();
    status.pid = 0;
    status.lag = {};
    if (failure) {
      Told what = told(*failure);
      status.phase = "failed";
      status.errors.push_back({*status.ended_at, what.code, what.message, ""});
    }
    status.next_steps = {failure ? "tidegate explain " + told(*failure).code : "tidegate run"};
    store.set_fact("last_status", to_json(status));
  } catch (const std::exception&) {
    log_warn("the last status could not be kept");
  }
}

}  // namespace

namespace {

std::unique_ptr<SourceWorker> make_source(const Settings& settings, const std::string& state_path,
                                          ControlStore& store, Coordination& coordination) {
  if (settings.source.end.kind == Endpoint::Kind::postgres)
    return std::make_unique<PostgresWorker>(settings, state_path, store, coordination);
  return std::make_unique<CaptureWorker>(settings, state_path, coordination);
}

std::unique_ptr<cutover::WayBack> make_way_back(const Settings& settings, const StateDir& state_dir,
                                                const std::shared_ptr<KeyMemory>& keys) {
  if (settings.source.end.kind == Endpoint::Kind::postgres)
    return std::make_unique<cutover::PostgresWayBack>(settings, state_dir.file("back.db"), keys);
  return std::make_unique<cutover::SqliteWayBack>(settings, state_dir.file("back.db"), keys);
}

// One run on a state directory that is ours. Its parts live as long as it does.
class Daemon {
 public:
  Daemon(const Settings& settings, const StateDir& state_dir)
      : settings_(settings),
        state_path_(state_dir.file("state.db")),
        incarnation_(made_incarnation(state_path_)),
        store_(state_dir.file("control.db")),
        signals_(coordination_),
        options_(apply_options(settings, state_path_, state_dir.file("keys.db"))),
        source_(make_source(settings, state_path_, store_, coordination_)),
        apply_(options_, *source_, coordination_, store_),
        cutover_(settings, state_dir.path(), state_path_, coordination_, store_, *source_, apply_,
                 make_way_back(settings, state_dir, options_.keys)),
        verify_(settings, *source_, apply_, coordination_, state_dir.file("control.db")),
        api_(coordination_, store_, apply_, cutover_, verify_, options_.target, state_path_) {
    show_identity(coordination_, settings);
    store_.set_fact("last_status", "");
  }

  bool is_approved() { return store_.fact("plan_approved").has_value(); }

  bool run(const StateDir& state_dir, const DaemonHooks& hooks) {
    control::ApiServer server(api_socket(state_dir.path()),
                              [this](const control::Request& request) { return api_.answer(request); });
    try {
      bool approved = prepare_and_replicate(hooks);
      if (approved) keep_last_status(store_, api_.status(), nullptr);
      return approved;
    } catch (const std::exception& failure) {
      if (is_approved()) keep_last_status(store_, coordination_.status(), &failure);
      throw;
    }
  }

 private:
  // Makes state.db, so that the API can answer from the first moment.
  static std::string made_incarnation(const std::string& state_path) {
    sqlite::Database state = open_state(state_path);
    return Journal(state).incarnation();
  }

  bool prepare_and_replicate(const DaemonHooks& hooks) {
    cutover::remember_journal_mode(settings_);
    coordination_.update([](Status& status) { status.step = "looking at both ends"; });
    look_at_target(settings_, is_approved());
    if (!is_approved()) {
      look_before_the_first_run(settings_, incarnation_);
      if (!hooks.can_ask)
        throw Coded<Usage>("needs-yes", "the plan needs your word before anything is written",
                           "look at it with `tidegate plan`, then add --yes, or run tidegate in a terminal");
    }
    try {
      if (!settle_plan(*source_, settings_, store_, coordination_, hooks)) return false;
      store_.audit("run", who_runs_this(), hooks.reason, "");
      coordination_.update([](Status& status) { status.step = "taking a backup of the target"; });
      backup::before_first_write(settings_, store_, hooks.reason, coordination_.stop_token());
      coordination_.update([](Status& status) { status.step.clear(); });
      source_->prepare();
    } catch (const std::exception&) {
      if (coordination_.stop_token().stop_requested()) return false;  // it ends since it was told to
      throw;
    }
    replicate(hooks);
    return true;
  }

  void replicate(const DaemonHooks& hooks) {
    cutover_.look_back();
    log_info("pipeline {} runs", settings_.pipeline);
    std::jthread capturing = worker(coordination_, [&] { source_->run(); });
    std::jthread applying = worker(coordination_, [&] { apply_.run(); });
    cutover_.start();
    verify_.resume();
    std::jthread showing([&] {
      if (hooks.show) hooks.show([&] { return sample(); });
    });
    const auto ended = [&] { cutover_.stop(); };
    try {
      coordination_.wait_for_end();
    } catch (...) {
      ended();
      throw;
    }
    ended();
    log_info("pipeline {} ends", settings_.pipeline);
  }

  std::optional<Status> sample() {
    if (coordination_.stop_token().stop_requested()) return std::nullopt;
    return api_.status();
  }

  const Settings& settings_;
  std::string state_path_, incarnation_;
  ControlStore store_;
  Coordination coordination_;
  SignalWatch signals_;
  ApplyWorkerOptions options_;
  std::unique_ptr<SourceWorker> source_;
  ApplyWorker apply_;
  cutover::Cutover cutover_;
  verify::Job verify_;
  DaemonApi api_;
};

// Rows of others stay theirs, whatever flags a later run is given.
Settings with_what_was_adopted(Settings settings) {
  const auto file = settings.state_dir / "control.db";
  if (std::filesystem::exists(file) && ControlStore(file).fact("adopted")) settings.adopt = true;
  return settings;
}

// Undoes what a run has made that came to nothing.
void remove_traces(const std::filesystem::path& state_dir) {
  Registry(process_environment()).remove(state_dir);
  std::error_code ignored;
  std::filesystem::remove_all(state_dir, ignored);
}

}  // namespace

bool run_daemon(const Settings& given, const DaemonHooks& hooks) {
  const Settings settings = with_what_was_adopted(given);
  if (settings.source.end.kind == Endpoint::Kind::sqlite)
    capture::require_local_database(settings.source.end.path);
  bool is_new = !std::filesystem::exists(settings.state_dir);
  StateDir state_dir(settings.state_dir, settings.pipeline);
  bool approved = false;
  try {
    cutover::refuse_finalized(state_dir.path());
    cutover::let_go_without_room(settings, state_dir.path());
    Registry(process_environment()).add({settings.pipeline, state_dir.path()});
    Daemon daemon(settings, state_dir);
    try {
      approved = daemon.run(state_dir, hooks);
    } catch (...) {
      approved = daemon.is_approved();
      throw;
    }
  } catch (...) {
    if (is_new && !approved) remove_traces(state_dir.path());
    throw;
  }
  if (is_new && !approved) remove_traces(state_dir.path());
  return approved;
}

std::optional<Status> last_status(const std::filesystem::path& state_dir) {
  const auto kept = look_at_fact((state_dir / "control.db").string(), "last_status");
  if (!kept || kept->empty()) return std::nullopt;
  return status_from_json(*kept);
}

}  // namespace tidegate
