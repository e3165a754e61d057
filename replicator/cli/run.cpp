// run, plan, events: the verbs that touch the data.
#include <fmt/format.h>
#include <unistd.h>

#include "apply/mapping/back/condition_check.hpp"
#include "apply/postgres/target_fit.hpp"
#include "capture/sqlite/file_checks.hpp"
#include "db/error.hpp"
#include "replicator/cli/ask.hpp"
#include "replicator/cli/plan_text.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/cli/watch.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/daemon.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cli {
namespace {

// In a terminal the operator is asked; elsewhere a change of the application's file needs the flag.
void ask_for_wal(Settings& settings, const Invocation& invocation) {
  if (settings.source.end.kind != Endpoint::Kind::sqlite) return;
  bool is_wal = capture::require_local_database(settings.source.end.path).is_wal();
  if (is_wal || settings.source.allow_wal || invocation.yes || !isatty(0)) return;
  settings.source.allow_wal = asked_yes(
      "The database is not in WAL mode, so reading it can hold up the application's writes for up to 100 ms "
      "at a time. "
      "Switch it to WAL (a lasting change to the file; the application need not be restarted)?");
}

// The picture would be torn by lines of the log, so these go to a file meanwhile.
void show_in_terminal(const Settings& settings, const std::function<std::optional<Status>()>& sample) {
  LogSettings log = settings.log;
  if (log.file.empty()) {
    log.file = settings.state_dir / "daemon.log";
    start_log(log);
  }
  watch(sample);
  start_log(settings.log);
  fmt::print("\n{}\n", "ending; the last batch is finished first");
  std::fflush(stdout);
}

// `said_no` tells an answer from a stop before there was one.
DaemonHooks hooks_for(const Settings& settings, const Invocation& invocation, bool& said_no) {
  DaemonHooks hooks;
  hooks.reason = invocation.flags.reason.value_or("");
  hooks.can_ask = invocation.yes || isatty(STDIN_FILENO);
  hooks.approve = [&](const PlannedPipeline& planned, std::stop_token stop) {
    fmt::print("{}", invocation.json ? plan_json(planned, settings) : plan_text(planned, settings));
    std::fflush(stdout);
    if (invocation.yes || asked_yes("Go on?", stop)) return true;
    said_no = !stop.stop_requested();
    return false;
  };
  if (isatty(STDOUT_FILENO) && !invocation.json)
    hooks.show = [&](const auto& sample) { show_in_terminal(settings, sample); };
  return hooks;
}

}  // namespace

int run(const Invocation& invocation) {
  Settings settings = settings_of(invocation, Purpose::run);
  start_log(settings.log);
  ask_for_wal(settings, invocation);
  bool said_no = false;
  if (run_daemon(settings, hooks_for(settings, invocation, said_no))) return static_cast<int>(Exit::done);
  if (!said_no) {
    fmt::print("stopped before the plan was approved; nothing was written to the target\n");
    return static_cast<int>(Exit::done);
  }
  throw Coded<Refused>("not-approved", "the plan was not approved, so nothing was written to the target",
                       "change what it should do in tidegate.toml, and run again");
}

namespace {

// A plan needs no target; where there is one it says what the mapping leaves as it is, and what keeps tables
// from joining Realtime, and what is wrong with conditions on its columns.
void add_what_the_target_says(const Settings& settings, PlannedPipeline& planned) {
  if (settings.target.end.kind != Endpoint::Kind::postgres) return;
  try {
    postgres::Connection target(connect_options(settings, "tidegate plan"));
    for (auto& finding : find_unfilled(target, planned.plans)) planned.findings.push_back(std::move(finding));
    for (auto& finding : realtime_findings(target, planned, settings))
      planned.findings.push_back(std::move(finding));
    for (auto& finding : condition_findings(target, maps_of(settings)))
      planned.findings.push_back(std::move(finding));
  } catch (const Error& away) {
    log_debug("the target was not asked: {}", away.what());
  }
}

}  // namespace

int plan(const Invocation& invocation) {
  Settings settings = settings_with_source(invocation);
  auto planned = plan_from_source(settings);
  add_what_the_target_says(settings, planned);
  constexpr int example_rows = 3;
  const bool of_server = settings.source.end.kind == Endpoint::Kind::postgres;
  const auto estimate = estimate_copy(settings, planned);
  const auto samples = sample_maps(settings, planned, example_rows, true);
  fmt::print("{}", invocation.json
                       ? plan_json(planned, settings, estimate, samples)
                       : plan_text(planned, settings, estimate) + mapping_text(samples, of_server) +
                             way_back_text(reversals(maps_of(settings), planned.tables)) +
                             ddl_text(planned, settings));
  bool blocked = false;
  for (const auto& finding : planned.findings) blocked |= finding.level == Finding::Level::block;
  return static_cast<int>(blocked ? Exit::refused : Exit::done);
}

}  // namespace tidegate::cli
