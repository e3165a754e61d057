#include "replicator/cutover/hold.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "db/error.hpp"
#include "replicator/cutover/hold_process.hpp"

extern char** environ;

namespace tidegate::cutover {
namespace {

using std::chrono::milliseconds;

constexpr auto start_time = std::chrono::seconds(10);  // a busy machine takes long to start a program

Error gone(const std::string& what) {
  return Error("the process that holds the live side's lock " + what, "", Advice::retry);
}

std::vector<std::string> arguments(const Hold::Options& options) {
  const char* kind = options.kind == Hold::Options::Kind::sqlite ? "sqlite" : "postgres";
  std::vector<std::string> words{"/proc/self/exe", hold_process_word, kind,
                                 std::to_string(options.max_hold.count())};
  if (!options.hook.empty()) words.insert(words.end(), {options.hook, options.hook_output});
  return words;
}

}  // namespace

Hold::Hold(const Options& options) : options_(options) {
  auto environment = options.hook_environment;
  for (char** one = environ; *one; ++one) {
    const std::string_view variable(*one);
    if (variable.starts_with("PG") || variable.starts_with("TIDEGATE_FAILPOINT="))
      environment.emplace_back(variable);
  }
  process_.emplace(
      Process::Start{arguments(options),
                     std::move(environment),
                     {{commands_.read.number, 0}, {answers_.write.number, 1}, {life_.read.number, 3}},
                     true});
  commands_.read.close();
  answers_.write.close();
  life_.read.close();
  const std::string line =
      ask(fmt::format("open {}\n{}", options_.where.size(), options_.where), Clock::now() + start_time);
  if (!line.starts_with("ready ")) throw gone("did not start: " + line);
  holder_ = static_cast<pid_t>(std::stol(line.substr(6)));
}

Hold::~Hold() {
  release();
}

// Empty at the end of the answers or of the time.
std::string Hold::answer(Clock::time_point until) {
  for (;;) {
    if (auto end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
    pollfd watched{answers_.read.number, POLLIN, 0};
    const int ready = ::poll(&watched, 1, static_cast<int>(std::max<decltype(left)>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    char buffer[4096];
    const ssize_t got = ready > 0 ? ::read(answers_.read.number, buffer, sizeof buffer) : 0;
    if (got <= 0) return "";
    unread_.append(buffer, static_cast<std::size_t>(got));
  }
}

std::string Hold::ask(const std::string& command, Clock::time_point until) {
  std::string_view rest = command;
  while (!rest.empty()) {
    const ssize_t put = ::write(commands_.write.number, rest.data(), rest.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return "";
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
  return answer(until);
}

// Where the watchdog is gone, the next command finds out.
void Hold::waits_outside(pid_t group, std::chrono::milliseconds limit) {
  const WaitsOutside note{group, static_cast<std::int32_t>((limit + options_.max_hold).count())};
  while (::write(life_.write.number, &note, sizeof note) < 0 && errno == EINTR) {
  }
}

bool Hold::take() {
  const auto wait = options_.max_hold / 2;
  requested_ = Clock::now();
  const std::string line = ask(
      fmt::format("lock {} {}\n{}", options_.lock_sql.size(), wait.count(), options_.lock_sql), ends_at());
  if (line == "locked") return true;
  if (line == "busy") return false;
  throw gone(line.empty() ? "is gone" : line);
}

void Hold::run(const std::string& sql) {
  const std::string line = ask(fmt::format("sql {}\n{}", sql.size(), sql), ends_at());
  if (line != "ok") throw gone(line.empty() ? "is gone" : line);
}

// After the commit the watchdog has no more to watch: both end.
bool Hold::commit() {
  const bool committed = ask("commit\n", ends_at()) == "committed";
  ended_ = Clock::now();
  release();
  return committed;
}

void Hold::release() noexcept {
  if (!process_) return;
  try {
    if (is_there()) ask("release\n", Clock::now() + milliseconds(500));
  } catch (const std::exception&) {  // it is killed below
  }
  if (requested_ && !ended_) ended_ = Clock::now();
  // `life_` stays open until both are gone: its end would say that the daemon is.
  commands_.write.close();
  if (!process_->wait_until(Clock::now() + milliseconds(500))) {
    if (holder_ > 0) ::kill(holder_, SIGKILL);
    process_->kill(SIGKILL);
  }
  process_->wait();
  process_.reset();
  life_.write.close();
}

bool Hold::is_there() {
  pollfd watched{answers_.read.number, POLLIN, 0};
  return process_ && ::poll(&watched, 1, 0) == 0 && Clock::now() < ends_at();
}

Hold::Clock::time_point Hold::ends_at() const {
  return requested_.value_or(Clock::now()) + options_.max_hold;
}

std::chrono::microseconds Hold::held() const {
  if (!requested_) return std::chrono::microseconds(0);
  return std::chrono::duration_cast<std::chrono::microseconds>(ended_.value_or(Clock::now()) - *requested_);
}

}  // namespace tidegate::cutover
