#include "replicator/cutover/let_go_first.hpp"

#include "replicator/cutover/guard.hpp"
#include "replicator/cutover/hooks.hpp"
#include "replicator/cutover/machine.hpp"
#include "replicator/cutover/run_journal.hpp"
#include "replicator/log.hpp"

namespace tidegate::cutover {
namespace {

constexpr std::uintmax_t enough = 1 << 20;  // bytes, for the entries of a start

void let_go(const Settings& settings, const Run& run) {
  const Hooks hooks(settings.hooks, [](const std::string& what, const std::string& outcome) {
    log_warn("{}: {}", what, outcome);
  });
  HookFacts facts;
  facts.direction = run.mode == Mode::rollback ? "backward" : "forward";
  facts.run_id = run.id;
  facts.step = name_of(run.step);
  facts.owner = "tidegate";
  facts.reason = "the daemon ended before the point of no return, and its disk is full";
  facts.source = masked(settings.source.end);
  facts.target = masked(settings.target.end);
  std::string trouble;
  hooks.run("on-abort", facts, trouble);
}

}  // namespace

void let_go_without_room(const Settings& settings, const std::filesystem::path& state_dir) {
  try {
    if (std::filesystem::space(state_dir).available >= enough) return;
    const auto journal = RunJournal::look_at((state_dir / "control.db").string());
    const auto last = journal ? journal->last() : std::nullopt;
    if (last && last->step >= Step::prepare && last->step < Step::intent) let_go(settings, *last);
  } catch (const std::exception& failure) {
    log_warn("looking for a run that ended early: {}", failure.what());
  }
}

}  // namespace tidegate::cutover
