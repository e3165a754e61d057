#include "replicator/cli/password_input.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "replicator/failure.hpp"

namespace tidegate::cli {
namespace {

constexpr std::size_t longest = 1024;

// No echo, and the signals that would end the program wait, until the destructor has put the terminal back.
class SilentTerminal {
 public:
  SilentTerminal() {
    sigemptyset(&signals_);
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    arrived_ = signalfd(-1, &signals_, SFD_CLOEXEC);
    tcgetattr(STDIN_FILENO, &echoing_);
    termios silent = echoing_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &echoing_);
    if (arrived_ >= 0) close(arrived_);
    std::fputc('\n', stderr);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);  // a signal that waited is acted on here
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

  // False where a signal came first.
  bool wait_for_line() const {
    pollfd ends[] = {{STDIN_FILENO, POLLIN, 0}, {arrived_, POLLIN, 0}};
    while (poll(ends, 2, -1) < 0 && errno == EINTR) {
    }
    return ends[1].revents == 0;
  }

 private:
  sigset_t signals_, before_;
  termios echoing_;
  int arrived_ = -1;
};

std::string line_of_stdin() {
  std::string line;
  char c = 0;
  while (line.size() <= longest && read(STDIN_FILENO, &c, 1) == 1 && c != '\n') line += c;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::string line_of_terminal(const std::string& prompt) {
  std::fputs(prompt.c_str(), stderr);
  const SilentTerminal terminal;
  return terminal.wait_for_line() ? line_of_stdin() : "";
}

}  // namespace

std::string read_password(const std::string& prompt) {
  std::string line = isatty(STDIN_FILENO) ? line_of_terminal(prompt) : line_of_stdin();
  if (line.empty() || line.size() > longest)
    throw Coded<Usage>("no-password-given", "the password is empty or longer than 1,024 bytes",
                       "type it when asked, or give it as the first line of standard input");
  return line;
}

}  // namespace tidegate::cli
