// The protocol of README.md: which step follows which, and what a restart does. Pure: outcomes in, moves out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate::cutover {

enum class Mode { rehearse, cutover, rollback };
std::string_view name_of(Mode mode);
std::optional<Mode> mode_named(std::string_view name);

// The ends of a pipeline. A run goes from the one whose rows are live to the other.
enum class Side { source, target };
Side from_of(Mode mode);
Side other(Side side);

// In the order of the protocol; the last three are ends.
enum class Step {
  guard,
  prepare,
  hold,
  drain,
  prove,
  reverse,
  intent,
  open,
  switching,
  watch,      // the other side is live
  rehearsed,  // let go on purpose
  aborted     // the side that was live is live
};
std::string_view name_of(Step step);
std::optional<Step> step_named(std::string_view name);
bool is_end(Step step);
// From here on nothing aborts: the fence may be there.
bool is_past_return(Step step);

struct Run {
  std::string id;
  Mode mode = Mode::cutover;
  std::uint64_t attempts = 3, attempt = 1;
  Step step = Step::guard;
  std::string way_back_start;  // known from `reverse` on
  std::string reason;          // why it ended
};

enum class Outcome {
  done,
  no_time,  // may do on another attempt
  failed,   // will fail again: an operator must look
  unknown   // of intent: the COMMIT's answer was lost; of it only
};

// What to do once a step is over: first `let_go` (ROLLBACK of the hold, hook on-abort), then `pause`, then
// journal `to` and begin it.
struct Move {
  Step to;
  bool let_go = false, pause = false;
  bool operator==(const Move&) const = default;
};

// What stands when a step ends. `stop` is an operator's abort or the end of the time for all attempts.
struct Situation {
  bool stop = false;
};

Move after(const Run& run, Outcome outcome, Situation situation);

// What a database says of itself: whether it takes the application's writes, and the run that made it so;
// empty: none ever has.
struct Says {
  bool is_live = false;
  std::string run;
};

struct Decision {
  enum class Kind { nothing, abort, go_on, half_done } kind = Kind::nothing;
  Step from = Step::guard;  // of go_on: the step that is begun (again)
  std::string why;          // of half_done: what contradicts what
};

// The side whose rows are live once `settled`, the last run that came through, is over.
Side live_after(const std::optional<Run>& settled);

// What a start does about the last run of the journal (absent: there was none). `settled`: the newest run
// that has ever come to `watch`. For a run that stands at `intent` the side that it would fence must have
// been asked under its own lock, and a "no" been made final there. A target that was not asked, since nothing
// speaks of it, is one that says nothing.
Decision decide(const std::optional<Run>& last, const std::optional<Run>& settled, const Says& source,
                const Says& target);

}  // namespace tidegate::cutover
