#include "capture/postgres/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "db/error.hpp"

extern char** environ;

namespace tidegate::capture {
namespace {

constexpr std::size_t most_err = 64 << 10;

[[noreturn]] void fail(const std::string& operation, int error) {
  throw Error(operation + ": " + std::strerror(error), "", Advice::stop);
}

class Descriptor {
 public:
  Descriptor() = default;
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void close() {
    if (number >= 0) ::close(number);
    number = -1;
  }
  int number = -1;
};

struct Pipe {
  Descriptor read, write;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail("make a pipe", errno);
    read.number = ends[0];
    write.number = ends[1];
  }
};

struct FileActions {
  posix_spawn_file_actions_t actions;
  FileActions() { posix_spawn_file_actions_init(&actions); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

std::string name_of(const std::string& variable) {
  return variable.substr(0, variable.find('='));
}

std::vector<std::string> merged_environment(const std::vector<std::string>& variables) {
  std::vector<std::string> merged;
  for (char** one = environ; *one; ++one) {
    const std::string name = name_of(*one);
    const bool replaced = std::any_of(variables.begin(), variables.end(),
                                      [&](const std::string& each) { return name_of(each) == name; });
    if (!replaced) merged.emplace_back(*one);
  }
  for (const std::string& variable : variables) {
    if (variable.find('=') != std::string::npos) merged.push_back(variable);
  }
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// Ended and waited for, whatever happens.
class Child {
 public:
  Child(std::vector<std::string> arguments, std::vector<std::string> environment, const FileActions& files) {
    auto argv = pointers(arguments), envp = pointers(environment);
    const int error = ::posix_spawn(&pid_, argv[0], &files.actions, nullptr, argv.data(), envp.data());
    if (error != 0) fail("start " + arguments[0], error);
  }
  ~Child() {
    if (pid_ > 0) ::kill(pid_, SIGKILL), wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = 0;
};

// False at the end of what comes.
bool take(Descriptor& from, std::string& into, std::size_t keep) {
  char buffer[1 << 16];
  const ssize_t got = ::read(from.number, buffer, sizeof buffer);
  if (got < 0 && errno == EINTR) return true;
  if (got < 0) fail("read from a child process", errno);
  into.append(buffer,
              std::min<std::size_t>(static_cast<std::size_t>(got), keep - std::min(keep, into.size())));
  if (got == 0) from.close();
  return got > 0;
}

void take_all(Pipe& out, Pipe& err, std::size_t most, ChildOutcome& outcome) {
  while (out.read.number >= 0 || err.read.number >= 0) {
    pollfd watched[] = {{out.read.number, POLLIN, 0}, {err.read.number, POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0 && errno != EINTR) fail("wait for a child process", errno);
    if (watched[0].revents) take(out.read, outcome.out, most + 1);
    if (watched[1].revents) take(err.read, outcome.err, most_err);
    if (outcome.out.size() > most) throw Error("a child process says more than it may", "", Advice::stop);
  }
}

}  // namespace

ChildOutcome run_child(const std::vector<std::string>& arguments, const std::vector<std::string>& variables,
                       std::size_t most) {
  Pipe out, err;
  FileActions files;
  posix_spawn_file_actions_addopen(&files.actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files.actions, out.write.number, 1);
  posix_spawn_file_actions_adddup2(&files.actions, err.write.number, 2);
  Child child(arguments, merged_environment(variables), files);
  out.write.close();
  err.write.close();
  ChildOutcome outcome;
  take_all(out, err, most, outcome);
  outcome.status = child.wait();
  return outcome;
}

}  // namespace tidegate::capture
