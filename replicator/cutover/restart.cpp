#include "replicator/cutover/restart.hpp"

#include <fmt/format.h>

#include <thread>

#include "apply/postgres/target_closing.hpp"
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
template <typename Ask>
Says ask_for_sure(const Parts& parts, const char* side, Ask ask) {
  while (!parts.coordination.stop_token().stop_requested()) {
    try {
      return ask();
    } catch (const std::exception& failure) {
      if (!is_worth_waiting(failure)) throw;
      parts.coordination.update(
          [&](Status& status) { status.step = fmt::format("asking the {} which side is live", side); });
      log_warn("{}", failure.what());
      std::this_thread::sleep_for(between_tries);
    }
  }
  throw Refused("stopping", fmt::format("the daemon ended before the {} had said which side is live", side),
                fmt::format("start it again once the {} can be reached", side));
}

// A source that has never been cut over and is away is waited for by its capture.
Says ask_source(const Parts& parts, const std::optional<Run>& last) {
  const auto ask = [&] { return parts.legacy.says(is_intended(last, Side::source)); };
  if (last) return ask_for_sure(parts, "source", ask);
  try {
    return ask();
  } catch (const std::exception& failure) {
    if (!is_worth_waiting(failure)) throw;
    return {true, ""};
  }
}

}  // namespace

Found look_at_both(const Parts& parts) {
  Found found{parts.journal.last(), parts.journal.settled(), {}};
  const Says source = ask_source(parts, found.last);
  Says target;
  const bool in_between = found.last && !is_end(found.last->step) && is_past_return(found.last->step);
  if (!source.is_live || in_between || live_after(found.settled) == Side::target)
    target = ask_for_sure(parts, "target", [&] { return ask_target_once(parts, found.last); });
  found.decision = decide(found.last, found.settled, source, target);
  if (found.decision.kind == Decision::Kind::half_done)
    throw Refused(
        "half-done", "the journal and the databases disagree about the last cutover: " + found.decision.why,
        "change nothing; `tidegate explain half-done` says how to find out which side has the newest rows");
  return found;
}

}  // namespace tidegate::cutover
