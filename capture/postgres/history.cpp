#include "capture/postgres/history.hpp"

#include <string>

#include "db/error.hpp"

namespace tidegate {
namespace {

const char* const other_history_mend =
    "positions of one history say nothing in another: `tidegate reset --target --confirm NAME` takes away "
    "what was copied; then run with a new state directory";

}  // namespace

void check_history(const CaptureState::Held& held, const postgres::SystemIdentity& source) {
  if (source.identifier != held.system_identifier) {
    throw Refused("source-other-system",
                  "the source is another cluster (system identifier " + source.identifier +
                      ") than the one that was captured (" + held.system_identifier + ")",
                  other_history_mend);
  }
  if (source.timeline != held.timeline) {
    throw Refused("source-other-timeline",
                  "the source was promoted or restored: its timeline is " + std::to_string(source.timeline) +
                      ", and the one that was captured " + std::to_string(held.timeline),
                  other_history_mend);
  }
  if (source.flushed < held.end_lsn) {
    throw Refused("source-went-back",
                  "the source's log ends at " + postgres::lsn_text(source.flushed) + ", before " +
                      postgres::lsn_text(held.end_lsn) + ", which was captured",
                  other_history_mend);
  }
}

}  // namespace tidegate
