// finalize: done here, with the state directory in our hands; a daemon that runs is told to end first.
#include <fmt/format.h>

#include "replicator/cli/plan_text.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/cutover/finalize.hpp"
#include "replicator/cutover/guard.hpp"
#include "replicator/failure.hpp"
#include "replicator/registry.hpp"
#include "replicator/state_dir.hpp"
#include "replicator/who.hpp"

namespace tidegate::cli {

int finalize(const Invocation& invocation) {
  const Settings settings = settings_of(invocation, Purpose::run);
  if (!std::filesystem::exists(settings.state_dir / "control.db"))
    throw Coded<Refused>("wrong-phase", "there is no pipeline in " + settings.state_dir.string(),
                         "say which with --state DIR");
  const auto legacy_is = invocation.legacy_gone ? cutover::LegacyIs::gone : cutover::LegacyIs::there;
  if (invocation.dry_run) {
    const auto findings = cutover::examine_end(settings, legacy_is);
    const bool blocked = cutover::blocks(findings);
    fmt::print(
        "{}\n{}\n", findings_text(findings),
        blocked ? "finalize would be refused" : "nothing blocks it; next: tidegate finalize --confirm NAME");
    return static_cast<int>(blocked ? Exit::refused : Exit::done);
  }
  if (invocation.confirm != settings.pipeline)
    throw Coded<Refused>("confirm-needed", "after finalize there is no rollback",
                         "type the pipeline's name: tidegate finalize --confirm " + settings.pipeline);
  for (const auto& finding : cutover::examine_end(settings, legacy_is))
    if (finding.level == Finding::Level::block)
      throw Coded<Refused>(finding.code, finding.message, finding.mend);
  end_daemon(invocation);
  StateDir held(settings.state_dir, settings.pipeline);
  cutover::finalize(settings, legacy_is, who_runs_this(), invocation.flags.reason.value_or(""),
                    [](const std::string& done) { fmt::print("{}\n", done), std::fflush(stdout); });
  Registry(process_environment()).remove(settings.state_dir);
  fmt::print("finalized: the target is on its own\n");
  return static_cast<int>(Exit::done);
}

}  // namespace tidegate::cli
