#include "replicator/cutover/restart.hpp"

#include <thread>

#include "apply/postgres/target_closing.hpp"
#include "capture/sqlite/fence.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;

constexpr auto settle_time = 30s, between_tries = 1s;

// Stands where its fence may be there or not.
bool is_intended(const std::optional<Run>& last, Side from) {
  return last && last->step == Step::intent && from_of(last->mode) == from;
}

Says ask_source(const std::string& path, const std::optional<Run>& last) {
  if (is_intended(last, Side::source)) capture::settle_fence(path, settle_time);
  sqlite::Database live(path, sqlite::Database::Mode::read_write, 5000ms);
  live.execute("PRAGMA query_only = ON");
  const auto run = capture::fenced_by(live);
  return run ? Says{false, *run} : Says{true, capture::opened_by(live)};
}

Says ask_target_once(const Parts& parts, const std::optional<Run>& last) {
  auto target = connect_target(connect_options(parts.settings, "tidegate look"));
  const auto& pipeline = parts.settings.pipeline;
  const auto says = is_intended(last, Side::target) ? settle_target(target, pipeline, settle_time)
                                                    : ask_target(target, pipeline);
  return {says.is_live, says.run};
}

bool is_worth_waiting(const std::exception& failure) {
  const auto* error = dynamic_cast<const Error*>(&failure);
  return may_pass(told(failure)) || (error && error->advice() != Advice::stop);
}

// Nothing may be done before it has said which side is live.
Says ask_target_for_sure(const Parts& parts, const std::optional<Run>& last) {
  while (!parts.coordination.stop_token().stop_requested()) {
    try {
      return ask_target_once(parts, last);
    } catch (const std::exception& failure) {
      if (!is_worth_waiting(failure)) throw;
      parts.coordination.update([](Status& status) { status.step = "asking the target which side is live"; });
      log_warn("{}", failure.what());
      std::this_thread::sleep_for(between_tries);
    }
  }
  throw Refused("stopping", "the daemon ended before the target had said which side is live",
                "start it again once the target can be reached");
}

}  // namespace

Found look_at_both(const Parts& parts) {
  Found found{parts.journal.last(), parts.journal.settled(), {}};
  const Says source = ask_source(parts.settings.source.end.path, found.last);
  Says target;
  const bool in_between = found.last && !is_end(found.last->step) && is_past_return(found.last->step);
  if (!source.is_live || in_between || live_after(found.settled) == Side::target)
    target = ask_target_for_sure(parts, found.last);
  found.decision = decide(found.last, found.settled, source, target);
  if (found.decision.kind == Decision::Kind::half_done)
    throw Refused(
        "half-done", "the journal and the databases disagree about the last cutover: " + found.decision.why,
        "change nothing; `tidegate explain half-done` says how to find out which side has the newest rows");
  return found;
}

}  // namespace tidegate::cutover
