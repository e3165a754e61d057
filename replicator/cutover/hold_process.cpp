#include "replicator/cutover/hold_process.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>

#include "capture/sqlite/journal_mode.hpp"
#include "capture/sqlite/write_lock.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "db/process.hpp"

namespace tidegate::cutover {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int life = 3;  // closes when the daemon is gone
constexpr char lock_requested = 'L', committing = 'C';

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// --- the holder ---

class Holder {
 public:
  Holder(const std::string& path, int watchdog)
      : live_(path, sqlite::Database::Mode::read_write, milliseconds(0)), watchdog_(watchdog) {
    live_.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0");  // the app does that
    capture::prime(live_);
    say(fmt::format("ready {}", getpid()));
  }

  // False once it is over.
  bool obey(const std::string& command) {
    const std::string word = command.substr(0, command.find(' '));
    const std::string argument = command.substr(std::min(word.size() + 1, command.size()));
    if (word == "lock") return lock(milliseconds(std::stol(argument)));
    if (word == "sql") return run(std::stoul(argument));
    if (word == "commit") return commit();
    lock_.reset();
    say("released");
    return false;
  }

 private:
  bool lock(milliseconds wait) {
    tell(lock_requested);
    lock_ = capture::take_write_lock(live_, wait);
    failpoint("cutover-locked");
    say(lock_ ? "locked" : "busy");
    return true;
  }
  bool run(std::size_t bytes) {
    std::string sql(bytes, '\0');
    std::cin.read(sql.data(), static_cast<std::streamsize>(bytes));
    live_.execute(sql);
    say("ok");
    return true;
  }
  bool commit() {
    tell(committing);
    failpoint("cutover-before-fence-commit");
    lock_->commit();
    failpoint("cutover-after-fence-commit");
    say("committed");
    return true;
  }
  void tell(char what) {
    if (::write(watchdog_, &what, 1) != 1) throw Error("the watchdog is gone", "", Advice::stop);
  }

  sqlite::Database live_;
  int watchdog_;
  std::unique_ptr<sqlite::Transaction> lock_;
};

int hold(const std::string& path, int watchdog) {
  try {
    Holder holder(path, watchdog);
    std::string command;
    while (std::getline(std::cin, command)) {
      if (!holder.obey(command)) return 0;
    }
    return 0;
  } catch (const std::exception& failure) {
    say(fmt::format("failed {}", failure.what()));
    return 1;
  }
}

// --- the watchdog ---

enum class Ended { by_itself, at_max_hold, daemon_gone };

class Watchdog {
 public:
  Watchdog(int holder, milliseconds max_hold) : holder_(holder), max_hold_(max_hold) {}

  Ended watch() {
    for (;;) {
      pollfd watched[] = {{life, POLLIN, 0}, {holder_, POLLIN, 0}};
      const int ready = ::poll(watched, 2, left());
      if (ready < 0 && errno != EINTR) return Ended::daemon_gone;  // what cannot be watched is let go
      if (ready == 0) return Ended::at_max_hold;
      if (ready > 0 && watched[0].revents) return Ended::daemon_gone;
      if (ready > 0 && watched[1].revents && !hear()) return Ended::by_itself;
    }
  }
  bool is_committing() const { return committing_; }

 private:
  int left() const {
    if (!requested_) return -1;
    auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now()).count();
    return static_cast<int>(std::max<decltype(left)>(left, 0));
  }
  bool hear() {
    char what = 0;
    if (::read(holder_, &what, 1) != 1) return false;
    if (what == lock_requested && !requested_) deadline_ = Clock::now() + max_hold_, requested_ = true;
    if (what == committing) committing_ = true;
    return true;
  }

  int holder_;
  milliseconds max_hold_;
  Clock::time_point deadline_;  // once the lock was requested
  bool requested_ = false, committing_ = false;
};

int watch(pid_t holder, int told, milliseconds max_hold, const char* hook) {
  Watchdog watchdog(told, max_hold);
  const Ended ended = watchdog.watch();
  if (ended != Ended::by_itself) ::kill(holder, SIGKILL);
  int status = 0;
  while (::waitpid(holder, &status, 0) < 0 && errno == EINTR) {
  }
  if (ended != Ended::daemon_gone || !hook || watchdog.is_committing()) return 0;
  ::execl(hook, hook, static_cast<char*>(nullptr));
  return 1;
}

}  // namespace

int hold_process(int argc, char** argv) {
  if (argc < 4) return 4;
  std::signal(SIGPIPE, SIG_IGN);
  Pipe told;
  const pid_t watchdog = getpid();
  const pid_t holder = ::fork();
  if (holder < 0) return 1;
  if (holder == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != watchdog) return 1;  // it died before that took effect
    ::close(life);
    told.read.close();
    return hold(argv[2], told.write.number);
  }
  // The daemon must see the end of the holder as the end of its answers.
  ::close(0);
  ::close(1);
  told.write.close();
  return watch(holder, told.read.number, milliseconds(std::stol(argv[3])), argc > 4 ? argv[4] : nullptr);
}

}  // namespace tidegate::cutover
