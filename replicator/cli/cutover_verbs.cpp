// cutover, rollback and abort. The work is the daemon's: the command begins it, shows it, and may go away
// meanwhile.
#include <boost/json.hpp>

#include <fmt/format.h>

#include <thread>

#include "replicator/cli/plan_text.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/control/client.hpp"
#include "replicator/control/status.hpp"
#include "replicator/cutover/writers_seen.hpp"

namespace tidegate::cli {

namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr auto answer_time = 15s;
constexpr auto check_time = 5min;  // a slot is made, which waits for transactions that are open
constexpr auto look_again = 100ms;

json::object body_of(const Invocation& invocation) {
  const auto& flags = invocation.cutover;
  json::object body{{"mode", flags.rehearse ? "rehearse" : "cutover"},
                    {"confirm", flags.confirm},
                    {"no_way_back", flags.no_way_back},
                    {"accept_loss", flags.accept_loss},
                    {"accept_failed_writes", flags.accept_failed_writes},
                    {"reason", invocation.flags.reason.value_or("")}};
  if (flags.max_hold) body["max_hold_ms"] = flags.max_hold->count();
  if (flags.max_lag) body["max_lag_ms"] = flags.max_lag->count();
  if (invocation.timeout) body["timeout_ms"] = invocation.timeout->count();
  if (flags.attempts) body["attempts"] = *flags.attempts;
  return body;
}

std::vector<Finding> findings_in(const std::vector<CutoverFinding>& shown) {
  std::vector<Finding> findings;
  for (const auto& one : shown) {
    auto level = one.level == "block"  ? Finding::Level::block
                 : one.level == "warn" ? Finding::Level::warn
                                       : Finding::Level::note;
    findings.push_back({level, one.code, "", "", one.message, one.mend});
  }
  return findings;
}

std::vector<Finding> findings_in(const json::value& answer) {
  std::vector<CutoverFinding> shown;
  for (const auto& one : answer.at("findings").as_array())
    shown.push_back(
        {json::value_to<std::string>(one.at("level")), json::value_to<std::string>(one.at("code")),
         json::value_to<std::string>(one.at("message")), json::value_to<std::string>(one.at("mend"))});
  return findings_in(shown);
}

int dry_run(const Invocation& invocation, const std::filesystem::path& state_dir) {
  auto response = control::call(state_dir, "POST", "/v1/" + invocation.verb + "/check",
                                json::serialize(body_of(invocation)), check_time);
  const json::value answer = json::parse(response.body);
  const bool blocked = answer.at("blocks").as_bool();
  if (invocation.json)
    fmt::print("{}\n", response.body);
  else
    fmt::print("{}\n{}\n", findings_text(findings_in(answer)),
               blocked ? fmt::format("a {} would be refused", invocation.verb)
                       : fmt::format("nothing blocks a {0}; next: tidegate {0} {1}", invocation.verb,
                                     invocation.verb == "cutover" ? "--rehearse" : "--confirm NAME"));
  return static_cast<int>(blocked ? Exit::refused : Exit::done);
}

std::optional<CutoverStatus> look(const std::filesystem::path& state_dir) {
  return status_from_json(control::call(state_dir, "GET", "/v1/status", "", answer_time).body).cutover;
}

// Each step once, with the time that it took.
class Progress {
 public:
  explicit Progress(bool silent) : silent_(silent) {}
  void show(const CutoverStatus& now) {
    if (silent_) return;
    const std::size_t over =
        now.outcome.empty() && !now.steps.empty() ? now.steps.size() - 1 : now.steps.size();
    for (; shown_ < over; ++shown_) {
      const auto& step = now.steps[shown_];
      fmt::print("  {:<10} {:>9.1f} ms{}\n", step.step, step.milliseconds,
                 step.attempt > 1 ? fmt::format("  (attempt {})", step.attempt) : "");
    }
    std::fflush(stdout);
  }

 private:
  bool silent_;
  std::size_t shown_ = 0;
};

CutoverStatus follow(const std::filesystem::path& state_dir, const std::string& run, bool silent) {
  Progress progress(silent);
  for (;;) {
    auto now = look(state_dir);
    if (now && now->run == run) {
      progress.show(*now);
      if (!now->outcome.empty()) return *now;
    }
    std::this_thread::sleep_for(look_again);
  }
}

// By the mode of a run: the side that is live where it went through, and where it did not.
const char* live_side(const CutoverStatus& ended) {
  const bool went_through = ended.outcome == "done";
  return (ended.mode == "rollback") == went_through ? "source" : "target";
}

std::string sentence(const CutoverStatus& ended) {
  const std::string hold =
      ended.hold_ms ? fmt::format("writers were held for {:.1f} ms", *ended.hold_ms) : "";
  if (ended.outcome == "rehearsed")
    return hold + "; the source was let go, nothing has changed" +
           (ended.writers ? "\n" + cutover::in_words(*ended.writers) : "");
  if (ended.outcome != "done")
    return fmt::format("{}: {}; the {} is live as before", ended.outcome, ended.reason, live_side(ended));
  std::string text = fmt::format("the {} is live; {}", live_side(ended), hold);
  if (!ended.reason.empty())
    text += fmt::format("; but {}: tidegate {} --continue runs the hooks of the switch again", ended.reason,
                        ended.mode);
  return text;
}

int exit_code(const CutoverStatus& ended) {
  if (ended.outcome == "refused") return static_cast<int>(Exit::refused);
  if (ended.outcome == "aborted") return static_cast<int>(Exit::failed);
  return static_cast<int>(ended.reason.empty() ? Exit::done : Exit::failed);
}

int print_end(const Invocation& invocation, const CutoverStatus& ended) {
  if (invocation.json) {
    const auto status = control::call(find_state_dir(invocation), "GET", "/v1/status", "", answer_time);
    fmt::print("{}\n", json::serialize(json::parse(status.body).at("cutover")));
  } else {
    if (ended.outcome == "refused") fmt::print("{}\n", findings_text(findings_in(ended.findings)));
    fmt::print("{}\n", sentence(ended));
  }
  return exit_code(ended);
}

}  // namespace

int cutover(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  if (invocation.cutover.dry_run) return dry_run(invocation, state_dir);
  const std::string path = "/v1/" + invocation.verb + (invocation.cutover.go_on ? "/continue" : "");
  auto response = control::call(state_dir, "POST", path, json::serialize(body_of(invocation)), answer_time);
  const auto run = json::value_to<std::string>(json::parse(response.body).at("run"));
  return print_end(invocation, follow(state_dir, run, invocation.json));
}

int abort(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  json::object body{{"reason", invocation.flags.reason.value_or("")}};
  control::call(state_dir, "POST", "/v1/abort", json::serialize(body), answer_time);
  const auto under_way = look(state_dir);
  const CutoverStatus ended = follow(state_dir, under_way ? under_way->run : "", true);
  const bool aborted = ended.outcome != "done";
  if (invocation.json) {
    print_end(invocation, ended);
  } else if (aborted) {
    fmt::print("given up: the {} is live, its writers go on\n", live_side(ended));
  } else {
    fmt::print("it was past its point of no return: the {} is live. To go back: tidegate {}\n",
               live_side(ended), ended.mode == "rollback" ? "cutover" : "rollback");
  }
  return static_cast<int>(aborted ? Exit::done : Exit::failed);
}

}  // namespace tidegate::cli
