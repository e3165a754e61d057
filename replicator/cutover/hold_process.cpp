#include "replicator/cutover/hold_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <string_view>
#include <vector>

#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "db/process.hpp"
#include "replicator/cutover/holder.hpp"

extern char** environ;

namespace tidegate::cutover {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int life = 3;         // closes when the daemon is gone
constexpr int input_ended = 2;  // the holder's exit code: nobody told it to end
constexpr char lock_requested = 'L', committing = 'C';

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// --- the holder ---

class Commands {
 public:
  Commands(const std::string& kind, milliseconds max_hold, int watchdog)
      : kind_(kind), max_hold_(max_hold), watchdog_(watchdog) {}

  // False once it is over.
  bool obey(const std::string& command) {
    std::istringstream words(command);
    std::string word;
    std::size_t bytes = 0;
    words >> word >> bytes;
    if (word == "open") return open(text_of(bytes));
    if (word == "sql") return run(text_of(bytes));
    if (word == "commit") return commit();
    if (word == "lock") {
      milliseconds::rep wait = 0;
      words >> wait;
      return lock(text_of(bytes), milliseconds(wait));
    }
    holder_.reset();
    say("released");
    return false;
  }

 private:
  static std::string text_of(std::size_t bytes) {
    std::string text(bytes, '\0');
    std::cin.read(text.data(), static_cast<std::streamsize>(bytes));
    return text;
  }
  bool open(const std::string& where) {
    holder_ = kind_ == "sqlite" ? hold_file(where) : hold_tables(where, max_hold_);
    say(fmt::format("ready {}", getpid()));
    return true;
  }
  bool lock(const std::string& sql, milliseconds wait) {
    tell(lock_requested);
    const bool locked = holder_->lock(sql, wait);
    failpoint("cutover-locked");
    say(locked ? "locked" : "busy");
    return true;
  }
  bool run(const std::string& sql) {
    holder_->run(sql);
    say("ok");
    return true;
  }
  bool commit() {
    tell(committing);
    failpoint("cutover-before-fence-commit");
    holder_->commit();
    failpoint("cutover-after-fence-commit");
    say("committed");
    return true;
  }
  void tell(char what) {
    if (::write(watchdog_, &what, 1) != 1) throw Error("the watchdog is gone", "", Advice::stop);
  }

  std::string kind_;
  milliseconds max_hold_;
  int watchdog_;
  std::unique_ptr<Holder> holder_;
};

int hold(Commands commands) {
  try {
    std::string command;
    while (std::getline(std::cin, command)) {
      if (!commands.obey(command)) return 0;
    }
    return input_ended;
  } catch (const std::exception& failure) {
    std::string why = failure.what();
    std::replace(why.begin(), why.end(), '\n', ' ');
    say("failed " + why);
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
      if (ready > 0 && watched[0].revents) {
        if (!hear_of_outside()) return Ended::daemon_gone;
        continue;
      }
      if (ready > 0 && watched[1].revents && !hear()) return Ended::by_itself;
    }
  }
  bool is_committing() const { return committing_; }
  // A hook that is still letting others wait would undo what on-abort does.
  void end_hook() const {
    if (hook_ > 0) ::kill(-hook_, SIGKILL);
  }

 private:
  int left() const {
    if (!has_deadline_) return -1;
    auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now()).count();
    return static_cast<int>(std::max<decltype(left)>(left, 0));
  }
  void let_go_in(milliseconds time) { deadline_ = Clock::now() + time, has_deadline_ = true; }
  // False once the daemon is gone.
  bool hear_of_outside() {
    WaitsOutside note;
    const ssize_t got = ::read(life, &note, sizeof note);
    if (got < 0 && errno == EINTR) return true;
    if (got != static_cast<ssize_t>(sizeof note)) return false;
    hook_ = note.group;
    if (!requested_) let_go_in(milliseconds(note.within_ms));
    return true;
  }
  bool hear() {
    char what = 0;
    if (::read(holder_, &what, 1) != 1) return false;
    if (what == lock_requested && !requested_) let_go_in(max_hold_), requested_ = true;
    if (what == committing) committing_ = true;
    return true;
  }

  int holder_;
  milliseconds max_hold_;
  Clock::time_point deadline_;
  bool has_deadline_ = false;  // the lock was requested, or something waits outside
  bool requested_ = false, committing_ = false;
  pid_t hook_ = 0;
};

// What libpq takes from the environment was for the holder: it may be a password.
void forget_connections() {
  std::vector<std::string> names;
  for (char** one = environ; *one; ++one) {
    const std::string_view variable(*one);
    if (variable.starts_with("PG")) names.emplace_back(variable.substr(0, variable.find('=')));
  }
  for (const auto& name : names) ::unsetenv(name.c_str());
}

// The daemon must see the end of the holder as the end of its answers.
bool leave_standard_streams() {
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  return nothing >= 0 && ::dup2(nothing, 0) == 0 && ::dup2(nothing, 1) == 1;
}

// What it prints has a place even where the daemon's own output went with the daemon.
void run_hook(const char* hook, const char* output) {
  const int file = ::open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  for (const int stream : {1, 2}) ::dup2(file < 0 ? 0 : file, stream);
  ::execl(hook, hook, static_cast<char*>(nullptr));
}

int watch(pid_t holder, int told, milliseconds max_hold, const char* hook, const char* output) {
  Watchdog watchdog(told, max_hold);
  Ended ended = watchdog.watch();
  if (ended != Ended::by_itself) ::kill(holder, SIGKILL);
  int status = 0;
  while (::waitpid(holder, &status, 0) < 0 && errno == EINTR) {
  }
  // Both pipes of a daemon that is killed close at once, and the holder may be the first to notice.
  if (WIFEXITED(status) && WEXITSTATUS(status) == input_ended) ended = Ended::daemon_gone;
  if (ended == Ended::by_itself || watchdog.is_committing()) return 0;
  watchdog.end_hook();
  if (!hook) return 0;
  forget_connections();
  run_hook(hook, output);
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
    return hold({argv[2], milliseconds(std::stol(argv[3])), told.write.number});
  }
  if (!leave_standard_streams()) return 1;
  told.write.close();
  const bool has_hook = argc > 5;
  return watch(holder, told.read.number, milliseconds(std::stol(argv[3])), has_hook ? argv[4] : nullptr,
               has_hook ? argv[5] : nullptr);
}

}  // namespace tidegate::cutover
