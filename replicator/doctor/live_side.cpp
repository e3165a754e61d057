#include "replicator/doctor/live_side.hpp"

#include <fmt/format.h>

#include "apply/postgres/target_fence.hpp"
#include "replicator/cutover/finalize.hpp"
#include "replicator/cutover/legacy.hpp"
#include "replicator/cutover/run_journal.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using cutover::Decision;
using cutover::Side;
using Level = Finding::Level;

Finding under_way(const cutover::Run& run) {
  return {Level::note,
          "cutover-under-way",
          "",
          "",
          fmt::format(
              "{} {} is under way, at the step {}: a start of the daemon asks both databases which side is "
              "live, and goes on with it or gives it up",
              cutover::name_of(run.mode), run.id, cutover::name_of(run.step)),
          ""};
}

// As `tidegate run` would refuse it.
Finding half_done(const LiveSideFacts& facts, const std::string& why) {
  const std::string mend =
      facts.has_journal
          ? "change nothing; `tidegate explain half-done` says how to find out which side has the newest rows"
          : "use the state directory that made the cutover (--state); if it is lost: tidegate explain "
            "replicator-lost";
  const bool cut_over = !facts.source.is_live && facts.target.is_live && facts.source.run == facts.target.run;
  const std::string what =
      !facts.has_journal && cut_over
          ? fmt::format(
                "the target is the live side since run {}, and the source is fenced; this state directory "
                "knows nothing of it",
                facts.target.run)
          : "the journal and the databases disagree about the last cutover: " + why;
  return {Level::block, "half-done", "", "", what, mend};
}

Finding target_live(const cutover::Run& run) {
  return {
      Level::note,
      "target-live",
      "",
      "",
      fmt::format(
          "the target is the live side since {} {}, and the source is fenced: `tidegate run` goes on with "
          "the way back",
          cutover::name_of(run.mode), run.id),
      ""};
}

}  // namespace

std::vector<Finding> findings_of(const LiveSideFacts& facts) {
  if (facts.last && !is_end(facts.last->step)) return {under_way(*facts.last)};
  const Decision decision = decide(facts.last, facts.settled, facts.source, facts.target);
  if (decision.kind == Decision::Kind::half_done) return {half_done(facts, decision.why)};
  if (live_after(facts.settled) == Side::target) return {target_live(*facts.settled)};
  return {};
}

std::vector<Finding> examine_live_side(const Settings& settings) {
  cutover::refuse_finalized(settings.state_dir);
  LiveSideFacts facts;
  if (const auto journal = cutover::RunJournal::look_at((settings.state_dir / "control.db").string())) {
    facts.has_journal = true;
    facts.last = journal->last();
    facts.settled = journal->settled();
  }
  facts.source = cutover::make_legacy(settings)->says(false);
  auto target = connect_target(connect_options(settings, "tidegate doctor"));
  const auto says = ask_target(target, settings.pipeline);
  facts.target = {says.is_live, says.run};
  return findings_of(facts);
}

}  // namespace tidegate
