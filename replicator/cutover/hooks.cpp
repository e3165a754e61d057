#include "replicator/cutover/hooks.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "db/error.hpp"
#include "db/process.hpp"
#include "replicator/cutover/hook_output.hpp"

extern char** environ;

namespace tidegate::cutover {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::size_t most_output = 16 << 10;
constexpr auto grace = 1s;  // between TERM and KILL
constexpr int tries = 3;    // of policy `retry`
constexpr auto between_tries = 1s;

constexpr const char* writer_left =
    " and left a program behind that would write to its output, which nobody reads any more";

// Half of a secret looks like none.
void drop_cut_word(std::string& output) {
  if (output.size() < most_output) return;
  const auto blank = output.find_last_of(" \t\n");
  if (blank != std::string::npos) output.resize(blank + 1);
}

// Reads what is there, for `wait` at most. False at the end of it.
bool drain(Descriptor& from, std::string& into, milliseconds wait) {
  pollfd watched{from.number, POLLIN, 0};
  if (from.number < 0 || ::poll(&watched, 1, static_cast<int>(wait.count())) <= 0) return from.number >= 0;
  char buffer[4096];
  const ssize_t got = ::read(from.number, buffer, sizeof buffer);
  if (got <= 0) return from.close(), false;
  into.append(buffer,
              std::min(static_cast<std::size_t>(got), most_output - std::min(most_output, into.size())));
  return true;
}

// The group is ended while its leader has not been waited for, so that its number is still its own.
void end_group(Process& process) {
  process.kill(SIGTERM);
  std::this_thread::sleep_for(grace);
  process.kill(SIGKILL);
  process.wait();
}

}  // namespace

std::string HookOutcome::told(const std::string& event) const {
  switch (kind) {
    case Kind::none:
      return "there is no hook " + event;
    case Kind::ok:
      return fmt::format("hook {} took {} ms{}", event, took.count(), left_writer ? writer_left : "");
    case Kind::failed:
      return fmt::format("hook {} ended with {} after {} ms{}", event, status, took.count(),
                         left_writer ? writer_left : "");
    case Kind::timed_out:
      return fmt::format("hook {} was ended after its time limit of {} ms", event, took.count());
    case Kind::not_started:
      return fmt::format("hook {} could not be started: {}", event, output);
  }
  return "";
}

HookOutcome run_hook(const std::filesystem::path& program, const std::vector<std::string>& environment,
                     milliseconds limit, const HookWatch& watch) {
  HookOutcome outcome;
  const auto began = Clock::now();
  const auto until = began + limit;
  try {
    Pipe output;
    Process process(
        {{program.string()}, environment, {{output.write.number, 1}, {output.write.number, 2}}, true});
    output.write.close();
    if (watch) watch(process.pid(), limit + grace);
    std::optional<int> status;
    while (!(status = process.wait_until(Clock::now())) && Clock::now() < until) {
      if (!drain(output.read, outcome.output, 20ms)) status = process.wait_until(until);
      if (status) break;
    }
    if (!status) {
      end_group(process);
      outcome.kind = HookOutcome::Kind::timed_out;
    } else {
      outcome.kind = *status == 0 ? HookOutcome::Kind::ok : HookOutcome::Kind::failed;
      outcome.status = *status;
    }
    pollfd more{output.read.number, POLLIN, 0};
    while (output.read.number >= 0 && ::poll(&more, 1, 0) > 0 && drain(output.read, outcome.output, 0ms)) {
    }
    outcome.left_writer = status && output.read.number >= 0;
    drop_cut_word(outcome.output);
  } catch (const Error& failure) {
    outcome.kind = HookOutcome::Kind::not_started;
    outcome.output = failure.what();
  }
  if (watch) watch(0, outcome.good() ? 0ms : milliseconds(2 * between_tries));
  outcome.took = std::chrono::duration_cast<milliseconds>(Clock::now() - began);
  return outcome;
}

// A hook's own settings come by TIDEGATE_HOOK_…; the daemon's environment holds URLs with passwords.
std::vector<std::string> Hooks::environment(const std::string& event, const HookFacts& facts) {
  std::vector<std::string> variables;
  for (char** one = environ; *one; ++one) {
    const std::string_view variable(*one);
    for (std::string_view kept : {"PATH=", "HOME=", "USER=", "LOGNAME=", "LANG=", "TZ=", "TIDEGATE_HOOK_"})
      if (variable.starts_with(kept)) variables.emplace_back(variable);
  }
  const auto add = [&](const char* name, const std::string& value) {
    variables.push_back(fmt::format("TIDEGATE_{}={}", name, value));
  };
  add("EVENT", event);
  add("DIRECTION", facts.direction);
  add("RUN_ID", facts.run_id);
  add("STEP", facts.step);
  add("OWNER", facts.owner);
  add("REASON", facts.reason);
  add("SOURCE", facts.source);
  add("TARGET", facts.target);
  add("LAG_MS", fmt::format("{:.0f}", facts.lag_ms));
  add("HOLD_MS", fmt::format("{:.1f}", facts.hold_ms));
  add("AGAIN", facts.again ? "yes" : "no");
  return variables;
}

// A link that leads nowhere is one that fails: nobody meant it to be passed over.
bool Hooks::has(const std::string& event) const {
  std::error_code ignored;
  return !settings_.dir.empty() &&
         std::filesystem::exists(std::filesystem::symlink_status(settings_.dir / event, ignored));
}

std::string Hooks::path(const std::string& event) const {
  return has(event) ? (settings_.dir / event).string() : "";
}

// Once the other side is live nothing can be taken back, so what runs then is tried again rather than fatal.
HookPolicy Hooks::policy(const std::string& event) const {
  const auto set = settings_.policies.find(event);
  if (set != settings_.policies.end()) return set->second;
  for (std::string_view before : {"check", "on-ready", "before-fence", "on-hold"})
    if (event == before) return HookPolicy::fail;
  for (std::string_view important : {"on-switch", "on-rollback", "verify-switch", "on-abort"})
    if (event == important) return HookPolicy::retry;
  return HookPolicy::warn;
}

milliseconds Hooks::limit_of(const std::string& event) const {
  const auto own = settings_.timeouts.find(event);
  return own == settings_.timeouts.end() ? settings_.timeout : own->second;
}

HookOutcome Hooks::run_once(const std::string& event, const HookFacts& facts, milliseconds limit,
                            const HookWatch& watch) const {
  auto outcome = run_hook(settings_.dir / event, environment(event, facts), limit, watch);
  audit_("hook " + event,
         outcome.told(event) + (outcome.output.empty() ? "" : output_mark + masked_output(outcome.output)));
  return outcome;
}

bool Hooks::judge(const std::string& event, const HookOutcome& outcome, std::string& trouble) const {
  if (outcome.good()) return true;
  trouble = outcome.told(event);
  return policy(event) == HookPolicy::warn;
}

bool Hooks::run(const std::string& event, const HookFacts& facts, std::string& trouble,
                const HookWatch& watch) const {
  if (!has(event)) return true;
  HookOutcome outcome = run_once(event, facts, limit_of(event), watch);
  for (int again = 1; !outcome.good() && policy(event) == HookPolicy::retry && again < tries; ++again) {
    std::this_thread::sleep_for(between_tries);
    outcome = run_once(event, facts, limit_of(event), watch);
  }
  return judge(event, outcome, trouble);
}

bool Hooks::run_within(milliseconds at_most, const std::string& event, const HookFacts& facts,
                       std::string& trouble) const {
  if (!has(event)) return true;
  return judge(event, run_once(event, facts, std::min(at_most, limit_of(event)), {}), trouble);
}

}  // namespace tidegate::cutover
