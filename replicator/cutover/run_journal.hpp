// The journal of cutovers in control.db: one row per run, one per step that was begun. Every call is durable
// when it returns.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "db/sqlite.hpp"
#include "replicator/cutover/machine.hpp"

namespace tidegate::cutover {

// Stands for the start of a way back that is being built anew, until it is there.
inline constexpr std::string_view being_rebuilt = "rebuild";

struct JournalledStep {
  Step step = Step::guard;
  std::uint64_t attempt = 1;
  std::int64_t at_us = 0;  // when it was begun
};

class RunJournal {
 public:
  // A connection of its own to control.db. Usable from any thread.
  explicit RunJournal(const std::string& path);
  // For a look from another process than the daemon: changes nothing. Absent where there is no journal yet.
  static std::unique_ptr<RunJournal> look_at(const std::string& path);

  void begin(const Run& run);
  // The run as it is now, with its step.
  void enter(const Run& run);
  // The run that was begun or gone on with last, wherever it stands.
  std::optional<Run> last();
  // The newest run that has ever come to `watch`: it made the side live that is.
  std::optional<Run> settled();
  std::vector<JournalledStep> steps(const std::string& run);

 private:
  explicit RunJournal(sqlite::Database database) : database_(std::move(database)) {}
  std::optional<Run> find(const char* which);

  std::mutex mutex_;
  sqlite::Database database_;
};

}  // namespace tidegate::cutover
