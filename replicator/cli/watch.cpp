#include "replicator/cli/watch.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <thread>

#include "replicator/control/render.hpp"

namespace tidegate::cli {

namespace {

constexpr std::chrono::milliseconds step_interval{200};  // while the steps of a cutover pass
constexpr std::size_t samples_kept = 10;  // rates are over as many redraws: chunks come in jumps

bool is_utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (const char* value = std::getenv(name); value && *value)
      return std::strstr(value, "UTF-8") || std::strstr(value, "utf8") || std::strstr(value, "UTF8");
  return false;
}

bool is_terminal() {
  return isatty(STDOUT_FILENO) == 1;
}

Look look_of_stdout() {
  Look look;
  const char* term = std::getenv("TERM");
  const char* no_colour = std::getenv("NO_COLOR");
  look.colour = is_terminal() && term && std::strcmp(term, "dumb") != 0 && !(no_colour && *no_colour);
  look.unicode = is_utf8_locale();
  winsize size{};
  if (is_terminal() && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    look.width = size.ws_col;
    look.table_lines = std::max(3, size.ws_row - 16);
  }
  return look;
}

// Draws over the last picture: home, each line cleared to its end, and what is left below cleared.
void draw(const std::string& picture) {
  std::string out = "\x1b[H";
  for (const char c : picture) {
    if (c == '\n') out += "\x1b[K";
    out += c;
  }
  fmt::print("{}\x1b[J", out);
  std::fflush(stdout);
}

}  // namespace

void print_status(const Status& status) {
  fmt::print("{}", render(status, look_of_stdout()));
}

void watch(const Sample& sample, int quiet_seconds) {
  const bool terminal = is_terminal();
  if (terminal) fmt::print("\x1b[2J");
  std::deque<Status> before;
  while (auto now = sample()) {
    const auto rates = before.empty() ? std::nullopt : rates_between(before.front(), *now);
    if (terminal)
      draw(render(*now, look_of_stdout(), rates));
    else
      fmt::print("{}\n", render_line(*now, rates)), std::fflush(stdout);
    if (now->ended_at) return;
    const bool steps_pass = now->cutover && now->cutover->outcome.empty();
    before.push_back(std::move(*now));
    if (before.size() > samples_kept) before.pop_front();
    std::this_thread::sleep_for(steps_pass ? std::chrono::milliseconds(step_interval)
                                           : std::chrono::seconds(terminal ? 1 : quiet_seconds));
  }
}

}  // namespace tidegate::cli
