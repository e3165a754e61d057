#include "db/process.hpp"

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

extern "C" {  // glibc 2.36 leaves that out
#include <sys/pidfd.h>
}

extern char** environ;

namespace tidegate {
namespace {

[[noreturn]] void fail(const std::string& operation, int error) {
  throw Error(operation + ": " + std::strerror(error), "", Advice::stop);
}

struct FileActions {
  posix_spawn_file_actions_t actions;
  FileActions() { posix_spawn_file_actions_init(&actions); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

// Ours may block some signals in all threads and ignore SIGPIPE; a child must not inherit that.
struct Attributes {
  posix_spawnattr_t attributes;
  explicit Attributes(bool own_group) {
    posix_spawnattr_init(&attributes);
    sigset_t none, usual;
    sigemptyset(&none);
    sigfillset(&usual);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (own_group ? POSIX_SPAWN_SETPGROUP : 0);
    posix_spawnattr_setflags(&attributes, static_cast<short>(flags));
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
};

std::string name_of(const std::string& variable) {
  return variable.substr(0, variable.find('='));
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

int exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

void Descriptor::close() {
  if (number >= 0) ::close(number);
  number = -1;
}

Pipe::Pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("make a pipe", errno);
  read.number = ends[0];
  write.number = ends[1];
}

std::vector<std::string> environment_with(const std::vector<std::string>& variables) {
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

Process::Process(Start start) : own_group_(start.own_group) {
  FileActions files;
  posix_spawn_file_actions_addopen(&files.actions, 0, "/dev/null", O_RDONLY, 0);
  for (const auto& [ours, theirs] : start.descriptors)
    posix_spawn_file_actions_adddup2(&files.actions, ours, theirs);
  Attributes attributes(own_group_);
  auto argv = pointers(start.arguments), envp = pointers(start.environment);
  const int error =
      ::posix_spawn(&pid_, argv[0], &files.actions, &attributes.attributes, argv.data(), envp.data());
  if (error != 0) fail("start " + start.arguments[0], error);
}

Process::~Process() {
  if (pid_ <= 0 || status_) return;
  kill(SIGKILL);
  wait();
}

void Process::kill(int signal) noexcept {
  if (pid_ > 0 && !status_) ::kill(own_group_ ? -pid_ : pid_, signal);
}

int Process::wait() {
  int status = 0;
  while (!status_) {
    const pid_t ended = ::waitpid(pid_, &status, 0);
    if (ended == pid_ || errno != EINTR) status_ = exit_code(status);
  }
  return *status_;
}

std::optional<int> Process::wait_until(std::chrono::steady_clock::time_point until) {
  if (status_) return status_;
  Descriptor process;
  process.number = ::pidfd_open(pid_, 0);
  if (process.number < 0) fail("watch a child process", errno);
  for (;;) {
    auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd watched{process.number, POLLIN, 0};
    const int ready = ::poll(&watched, 1, static_cast<int>(std::max<decltype(left)>(left, 0)));
    if (ready > 0) return wait();
    if (ready == 0) return std::nullopt;
    if (errno != EINTR) fail("watch a child process", errno);
  }
}

}  // namespace tidegate
