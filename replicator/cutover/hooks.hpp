// The operator's programs that a cutover runs: one file per event in [hooks] dir. README.md says when each is
// run; deploy/hooks has some that work.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/plan.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate::cutover {

// What a hook is told by its environment, each as TIDEGATE_…; no secrets.
struct HookFacts {
  std::string direction, run_id, step, owner, reason, source, target;
  double lag_ms = 0, hold_ms = 0;
  bool again = false;  // another attempt follows
};

struct HookOutcome {
  enum class Kind {
    none,
    ok,
    failed,
    timed_out,
    not_started
  } kind = Kind::none;  // none: no file of that name
  int status = 0;       // exit code, or 128 + the signal
  std::string output;
  bool left_writer = false;  // something that it started has its output still
  std::chrono::milliseconds took{0};
  bool good() const { return kind == Kind::none || kind == Kind::ok; }
  std::string told(const std::string& event) const;  // one sentence
};

// Told of the process group that runs a hook and the time that it has, and of 0 once it has ended, with the
// time until it may be tried again.
using HookWatch = std::function<void(pid_t group, std::chrono::milliseconds limit)>;

// Runs the program to its end, at most for `limit`: then its process group is ended (TERM, a second later
// KILL). Of what it prints 16 KiB are kept. What it leaves running in another group goes on, and nobody
// reads what that prints.
HookOutcome run_hook(const std::filesystem::path& program, const std::vector<std::string>& environment,
                     std::chrono::milliseconds limit, const HookWatch& watch = {});

class Hooks {
 public:
  // `audit` takes what was run and what came of it.
  using Audit = std::function<void(const std::string& what, const std::string& outcome)>;
  Hooks(const HookSettings& settings, Audit audit) : settings_(settings), audit_(std::move(audit)) {}

  // False where the event's policy says that the cutover must not go on. `trouble` gets a sentence whenever a
  // hook was not good, tolerated or not.
  bool run(const std::string& event, const HookFacts& facts, std::string& trouble,
           const HookWatch& watch = {}) const;
  // The same within a hold: once, and for no longer than that.
  bool run_within(std::chrono::milliseconds at_most, const std::string& event, const HookFacts& facts,
                  std::string& trouble) const;

  // Files that cannot be run, that others could change, or that no event is named after. Runs nothing.
  std::vector<Finding> examine() const;
  // What a run of that direction will find there, and whether it would move the traffic.
  std::vector<Finding> plan(std::string_view direction) const;
  bool has(const std::string& event) const;
  std::string path(const std::string& event) const;  // empty where there is none
  static std::vector<std::string> environment(const std::string& event, const HookFacts& facts);

 private:
  HookPolicy policy(const std::string& event) const;
  std::chrono::milliseconds limit_of(const std::string& event) const;
  HookOutcome run_once(const std::string& event, const HookFacts& facts, std::chrono::milliseconds limit,
                       const HookWatch& watch) const;
  bool judge(const std::string& event, const HookOutcome& outcome, std::string& trouble) const;

  HookSettings settings_;
  Audit audit_;
};

}  // namespace tidegate::cutover
