// status and list.
#include <algorithm>
#include <boost/json.hpp>

#include <fmt/format.h>

#include "replicator/cli/verbs.hpp"
#include "replicator/cli/watch.hpp"
#include "replicator/control/client.hpp"
#include "replicator/control/status.hpp"
#include "replicator/cutover/run_journal.hpp"
#include "replicator/pipeline/daemon.hpp"
#include "replicator/registry.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::cli {

namespace {

namespace json = boost::json;

constexpr auto answer_time = std::chrono::seconds(10);

std::string ask(const std::filesystem::path& state_dir) {
  return control::call(state_dir, "GET", "/v1/status", "", answer_time).body;
}

int watch_daemon(const std::filesystem::path& state_dir) {
  bool seen = false;
  watch([&]() -> std::optional<Status> {
    try {
      auto status = status_from_json(ask(state_dir));
      seen = true;
      return status;
    } catch (const control::NotRunning&) {
      if (!seen) throw;
      fmt::print("the daemon has ended\n");
      return {};
    }
  });
  return 0;
}

struct Listed {
  Registered entry;
  bool running = false;
  std::string
      phase;  // "stopped" where no daemon runs, "?" where it does not answer, "gone" without its folder
};

Listed look_at(const Registered& entry) {
  std::error_code failure;
  if (!std::filesystem::exists(entry.state_dir, failure)) return {entry, false, "gone"};
  if (!lock_holder(entry.state_dir)) return {entry, false, "stopped"};
  try {
    return {entry, true, status_from_json(ask(entry.state_dir)).phase};
  } catch (const std::exception&) {
    return {entry, true, "?"};  // starting, ending or stuck: listed, with what is known
  }
}

void print_json(const std::vector<Listed>& listed) {
  json::array pipelines;
  for (const auto& one : listed)
    pipelines.push_back({{"pipeline", one.entry.pipeline},
                         {"state_dir", one.entry.state_dir.string()},
                         {"running", one.running},
                         {"phase", one.phase}});
  fmt::print("{}\n", json::serialize(json::value{{"pipelines", std::move(pipelines)}}));
}

void print_table(const std::vector<Listed>& listed) {
  std::size_t width = 8;
  for (const auto& one : listed) width = std::max(width, one.entry.pipeline.size());
  for (const auto& one : listed)
    fmt::print("{:<{}}  {:<11}  {}\n", one.entry.pipeline, width, one.phase, one.entry.state_dir.string());
  if (listed.empty()) fmt::print("no pipelines; begin with: tidegate init, or tidegate try\n");
}

bool is_gone(const Listed& one) {
  return one.phase == "gone";
}

// Told once: a state directory that comes back (a disk that was not mounted) is listed again from its next
// run.
void forget_gone(const Registry& registry, const std::vector<Listed>& listed) {
  for (const auto& one : listed) {
    if (is_gone(one)) registry.remove(one.entry.state_dir);
  }
  const auto gone = std::count_if(listed.begin(), listed.end(), is_gone);
  if (gone > 0)
    fmt::print(stderr, "{} state director{} not there any more, and will not be listed again\n", gone,
               gone == 1 ? "y is" : "ies are");
}

void print(const Invocation& invocation, const std::string& body) {
  if (invocation.json)
    fmt::print("{}\n", body);
  else
    print_status(status_from_json(body));
  std::fflush(stdout);
}

// After a kill nothing else says it. What a run that did not end has done is not inferred.
void print_live_side(const std::filesystem::path& state_dir) {
  const auto journal = cutover::RunJournal::look_at((state_dir / "control.db").string());
  if (!journal) return;
  if (const auto last = journal->last(); last && !is_end(last->step))
    fmt::print("a {} was under way, at the step {}: the next start asks both databases which side is live\n",
               name_of(last->mode), name_of(last->step));
  else
    fmt::print("the {} is live\n",
               live_after(journal->settled()) == cutover::Side::target ? "target" : "source");
  std::fflush(stdout);
}

void print_last(const Invocation& invocation, const std::filesystem::path& state_dir) {
  if (const auto last = last_status(state_dir))
    print(invocation, to_json(*last));
  else if (!invocation.json)
    print_live_side(state_dir);
}

}  // namespace

int status(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  try {
    if (invocation.watch && !invocation.json) return watch_daemon(state_dir);
    print(invocation, ask(state_dir));
  } catch (const control::NotRunning&) {
    print_last(invocation, state_dir);
    throw;
  }
  return 0;
}

int list(const Invocation& invocation) {
  std::vector<Listed> listed;
  const Registry registry(invocation.environment);
  for (const auto& entry : registry.entries()) listed.push_back(look_at(entry));
  if (invocation.json)
    print_json(listed);
  else
    print_table(listed);
  forget_gone(registry, listed);
  return 0;
}

}  // namespace tidegate::cli
