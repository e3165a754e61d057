// The hold of the side that is live, a SQLite file or a Postgres server's tables, as the daemon drives it.
// hold_process.hpp is the other end.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "db/process.hpp"

namespace tidegate::cutover {

class Hold {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    enum class Kind { sqlite, postgres } kind = Kind::sqlite;
    std::string where;     // the file's path, or how libpq connects: given to the process by a pipe, since it
                           // may hold a password
    std::string lock_sql;  // of Postgres: what is locked, as holder.hpp says
    std::chrono::milliseconds max_hold{0};
    std::string hook;                           // run by the watchdog where the daemon dies; may be empty
    std::vector<std::string> hook_environment;  // all of it
    std::string hook_output;                    // the file that takes what it prints; made anew
  };
  // Starts the holder and its watchdog, without a lock. Throws Error where they do not get ready.
  explicit Hold(const Options& options);
  // As release().
  ~Hold();

  // From now on something outside may wait for this hold: hook `group` (0: none) is letting it, and where the
  // lock is not requested within `limit` and max-hold, the watchdog lets go.
  void waits_outside(pid_t group, std::chrono::milliseconds limit);

  // Writers wait from here on; false where the lock was not to be had in half of max-hold.
  bool take();
  // Within the hold. Throws Error.
  void run(const std::string& sql);
  // Durable once it is true. False: whether it was committed is not known.
  bool commit();
  // ROLLBACK and the end of both processes. Never throws.
  void release() noexcept;

  bool is_there();                         // the lock is still ours
  Clock::time_point ends_at() const;       // when max-hold is over
  std::chrono::microseconds held() const;  // from the first request of the lock until now, or its end

 private:
  std::string answer(Clock::time_point until);
  std::string ask(const std::string& command, Clock::time_point until);

  Options options_;
  Pipe commands_, answers_, life_;
  std::optional<Process> process_;
  std::string unread_;
  pid_t holder_ = 0;
  std::optional<Clock::time_point> requested_, ended_;
};

}  // namespace tidegate::cutover
