#include "capture/postgres/child_process.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "db/error.hpp"
#include "db/process.hpp"

namespace tidegate::capture {
namespace {

constexpr std::size_t most_err = 64 << 10;

[[noreturn]] void fail(const std::string& operation, int error) {
  throw Error(operation + ": " + std::strerror(error), "", Advice::stop);
}

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
  Process child(
      {arguments, environment_with(variables), {{out.write.number, 1}, {err.write.number, 2}}, false});
  out.write.close();
  err.write.close();
  ChildOutcome outcome;
  take_all(out, err, most, outcome);
  outcome.status = child.wait();
  return outcome;
}

}  // namespace tidegate::capture
