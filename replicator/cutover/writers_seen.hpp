// What a rehearsal can measure of an application that reads first and writes later, when its file is held
// without a hook that lets requests wait. Such a transaction fails in the application's own process, at once,
// and leaves no trace in the file or in the kernel; nor does one that waits, since SQLite asks for a lock
// again and again rather than wait in one. So failures are not counted: what is told is when the file was
// held, for the application's own log, how many transactions were committed a second before and afterwards,
// and which programs had one open when the lock was taken.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "replicator/control/status.hpp"
#include "replicator/control/store.hpp"
#include "replicator/cutover/legacy.hpp"

namespace tidegate::cutover {

// One rehearsal's, in the order of the calls. Where the file cannot be looked at, less is told.
class WritersWatch {
 public:
  explicit WritersWatch(Legacy& legacy) : legacy_(legacy) {}

  // Between the two, as long as GUARD takes, the usual commits are counted.
  void before_guard() { begun_ = count(); }
  void after_guard() { ready_ = count(); }
  // Of each attempt; the last one counts.
  void locked();
  void released();
  // Waits until a second has passed since then.
  std::optional<WritersSeen> afterwards();

 private:
  struct Counted {
    std::uint32_t commits = 0;
    std::chrono::steady_clock::time_point at;
  };
  std::optional<Counted> count();

  Legacy& legacy_;
  std::optional<Counted> begun_, ready_, let_go_;
  WritersSeen seen_;
};

// One sentence.
std::string in_words(const WritersSeen& seen);

// The last rehearsal's, which an operator who accepts failed writes is shown. Absent where there was none
// within a day.
void remember(ControlStore& store, const WritersSeen& seen);
std::optional<std::string> remembered(ControlStore& store);

}  // namespace tidegate::cutover
