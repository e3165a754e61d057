// The processes behind a hold: one that has the lock (holder.hpp), and its watchdog. They are apart
// from the daemon, so that no end of it (killed, stopped) can keep the application's writers waiting.
//
// The holder reads commands from descriptor 0 and answers each by a line on descriptor 1:
//   open BYTES      then so many bytes that say what: "ready PID"
//   lock BYTES MS   then so many bytes of statements: "locked", or "busy" when it was not to be had in time
//   sql BYTES       then so many bytes of statements: "ok"
//   commit          "committed"
//   release         "released", and it ends
// What goes wrong is answered "failed WHY". The end of its input, or of its watchdog, is a ROLLBACK.
//
// The watchdog kills the holder at max-hold after the first "lock", and when descriptor 3 closes: the daemon
// is gone. Unless a commit was under way, it then runs the hook that lets go of what waits outside (a proxy,
// a pooler). On descriptor 3 it is told (WaitsOutside) when something begins to wait there, so that it lets
// go also where a daemon that is stopped never requests the lock; a hook that is still at it is ended first.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace tidegate::cutover {

// One write to a pipe, so it comes whole.
struct WaitsOutside {
  pid_t group = 0;             // of the hook that runs now; 0: none does
  std::int32_t within_ms = 0;  // the lock is requested, or the next note comes
};

constexpr const char* hold_process_word = "hold-process";

// `tidegate hold-process sqlite|postgres MAX_HOLD_MS [HOOK OUTPUT_FILE]`; returns the exit code.
int hold_process(int argc, char** argv);

}  // namespace tidegate::cutover
