// RAII over descriptors, pipes and child processes.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tidegate {

class Descriptor {
 public:
  Descriptor() = default;
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void close();
  int number = -1;
};

// Closed in every child that was not given an end. Throws Error.
struct Pipe {
  Descriptor read, write;
  Pipe();
};

// "NAME=value" of our own environment, with these put in the place of those of the same name; a name alone
// takes it away.
std::vector<std::string> environment_with(const std::vector<std::string>& variables);

// A child, with the signals' defaults, and none blocked. Killed and waited for in the destructor where it is
// still there.
class Process {
 public:
  struct Start {
    std::vector<std::string> arguments;    // [0] is the program's path
    std::vector<std::string> environment;  // all of it
    std::vector<std::pair<int, int>>
        descriptors;         // ours, and its number there; 0 is /dev/null where it is not given
    bool own_group = false;  // kill() reaches what it starts as well
  };
  // Throws Error where the program cannot be started.
  explicit Process(Start start);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void kill(int signal) noexcept;  // does nothing once it was waited for
  // Exit code, or 128 + the number of the signal that ended it.
  int wait();
  std::optional<int> wait_until(std::chrono::steady_clock::time_point until);

 private:
  pid_t pid_ = 0;
  bool own_group_ = false;
  std::optional<int> status_;
};

}  // namespace tidegate
