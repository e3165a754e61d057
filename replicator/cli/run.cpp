// run, plan, events: the verbs that touch the data.
#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "capture/sqlite/file_checks.hpp"
#include "replicator/cli/plan_text.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/daemon.hpp"

namespace tidegate::cli {
namespace {

bool asked_yes(const std::string& question) {
  fmt::print("{} [y/N] ", question);
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

void refuse_other_ends(const Settings& settings) {
  if (settings.source.end.kind != Endpoint::Kind::sqlite) {
    throw Coded<Refused>("not-in-this-release", "a Postgres source is not in this release yet",
                         "give the path of a SQLite database as --source");
  }
  if (settings.target.end.kind != Endpoint::Kind::postgres) {
    throw Usage(
        "the target must be a Postgres server: postgresql://… in TIDEGATE_TARGET_URL or in tidegate.toml");
  }
}

// In a terminal the operator is asked; elsewhere a change of the application's file needs the flag.
void ask_for_wal(Settings& settings, const Invocation& invocation) {
  bool is_wal = capture::require_local_database(settings.source.end.path).is_wal();
  if (is_wal || settings.source.allow_wal || invocation.yes || !isatty(0)) return;
  settings.source.allow_wal = asked_yes(
      "The database is not in WAL mode, so reading it can hold up the application's writes for up to 100 ms "
      "at a time. "
      "Switch it to WAL (a lasting change to the file; the application need not be restarted)?");
}

}  // namespace

int run(const Invocation& invocation) {
  Settings settings = settings_of(invocation, Purpose::run);
  refuse_other_ends(settings);
  start_log(settings.log);
  ask_for_wal(settings, invocation);
  bool approved = true;
  run_daemon(settings, [&](const PlannedPipeline& planned) {
    fmt::print("{}", plan_text(planned, settings));
    std::fflush(stdout);
    if (invocation.yes) return true;
    if (!isatty(0)) throw Usage("the plan needs your word: add --yes, or run tidegate in a terminal");
    return approved = asked_yes("Go on?");
  });
  if (!approved) fmt::print("nothing was written to the target\n");
  return static_cast<int>(approved ? Exit::done : Exit::refused);
}

int plan(const Invocation& invocation) {
  Settings settings = settings_of(invocation, Purpose::find);
  capture::require_local_database(settings.source.end.path);
  auto measured = measure_source(capture_options(settings), [](const std::string&, std::uint64_t) {});
  auto planned = plan_pipeline(measured, settings);
  fmt::print("{}", invocation.json ? plan_json(planned, settings)
                                   : plan_text(planned, settings) + ddl_text(planned, settings));
  bool blocked = false;
  for (const auto& finding : planned.findings) blocked |= finding.level == Finding::Level::block;
  return static_cast<int>(blocked ? Exit::refused : Exit::done);
}

}  // namespace tidegate::cli
