// verify: asks the daemon for a run, attaches to it, and reads what it found from the state directory.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <thread>

#include "replicator/cli/verbs.hpp"
#include "replicator/config/units.hpp"
#include "replicator/control/client.hpp"
#include "replicator/failure.hpp"
#include "replicator/state_dir.hpp"
#include "replicator/verify/report.hpp"
#include "replicator/version.hpp"

namespace tidegate::cli {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto answer_time = 15s;
constexpr auto stop_time = 60s;  // what a unit is doing ends first
constexpr auto look_again = 200ms;
constexpr std::size_t most_lines = 50;  // of differences in a terminal

verify::Request request_of(const Invocation& invocation) {
  verify::Request request;
  request.tables = invocation.verify_tables;
  for (const auto& table : invocation.flags.tables) request.tables.push_back(table);
  request.sample = invocation.sample;
  request.counts = invocation.counts;
  request.continuous = invocation.continuous;
  request.rate = invocation.rate.value_or(0);
  request.rest = invocation.rest.value_or(request.rest);
  request.jobs = invocation.verify_jobs;
  return request;
}

json::object progress(const fs::path& state_dir) {
  return json::parse(control::call(state_dir, "GET", "/v1/verify", "", answer_time).body).as_object();
}

std::uint64_t number(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_number() ? value->to_number<std::uint64_t>() : 0;
}

bool is_running(const json::object& progress) {
  const auto* state = progress.if_contains("state");
  return state && state->is_string() && state->get_string() == "running";
}

std::string line_of(const json::object& progress) {
  std::string line = fmt::format(
      "{} of about {} compared, {}/s, {} found", format_count(number(progress, "rows")),
      format_rows(number(progress, "rows_expected")), format_count(number(progress, "rows_per_second")),
      format_count(number(progress, "differences")));
  if (progress.if_contains("eta_seconds"))
    line += fmt::format(", {} left", format_duration(std::chrono::seconds(number(progress, "eta_seconds"))));
  return line;
}

// Draws how far it is where somebody looks; to leave it does no harm.
void attach(const fs::path& state_dir) {
  bool seen = isatty(STDERR_FILENO) != 0;
  for (auto now = progress(state_dir); is_running(now); now = progress(state_dir)) {
    if (seen) fmt::print(stderr, "\r\033[K{}", line_of(now));
    std::this_thread::sleep_for(look_again);
  }
  if (seen) fmt::print(stderr, "\r\033[K");
}

int tell(const Invocation& invocation, const fs::path& state_dir) {
  auto report = verify::Store(state_dir / "control.db").report();
  if (!report)
    throw Coded<Refused>("verify-never-ran", "verify has not run on " + state_dir.string(),
                         "begin with: tidegate verify");
  if (!invocation.html.empty())
    write_file_atomically(invocation.folder / invocation.html, verify::to_html(*report, program_version));
  fmt::print("{}{}", invocation.json ? verify::to_json(*report) : verify::to_text(*report, most_lines),
             invocation.json ? "\n" : "");
  if (report->run.state == "failed") return static_cast<int>(Exit::failed);
  return static_cast<int>(report->differing > 0 ? Exit::differences : Exit::done);
}

json::object body_of(const Invocation& invocation) {
  json::object body = json::parse(to_json(request_of(invocation))).as_object();
  if (invocation.flags.reason) body["reason"] = *invocation.flags.reason;
  return body;
}

}  // namespace

int verify(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  control::call(state_dir, "POST", "/v1/verify", json::serialize(body_of(invocation)), answer_time);
  if (invocation.continuous) {
    fmt::print(
        "verify goes round and round; see `tidegate verify status`, end it with `tidegate verify stop`\n");
    return 0;
  }
  attach(state_dir);
  return tell(invocation, state_dir);
}

namespace {

int show_repairs(const Invocation& invocation, const fs::path& state_dir) {
  auto report = verify::Store(state_dir / "control.db").report();
  json::array rows;
  for (const auto& one : report ? report->differences : std::vector<verify::Difference>()) {
    const bool mapped = one.table.find(" -> ") != std::string::npos;
    const char* what = one.key_bytes.empty() && mapped ? "is left: no row of the source is known for it"
                       : one.version.empty()           ? nullptr
                       : one.kind == verify::Kind::extra
                           ? "is taken out, unless somebody has written it since"
                           : "gets its defaults, unless somebody has written it since";
    if (!what)
      what = one.key_bytes.empty()              ? "cannot be repaired: the table has no key"
             : one.side == verify::Side::shadow ? "capture reads everything again"
             : one.kind == verify::Kind::extra  ? "is deleted, unless the source has it by now"
                                                : "is written again";
    if (invocation.json)
      rows.push_back(json::object{{"table", one.table}, {"key", one.key}, {"what", what}});
    else
      fmt::print("{} {} {}\n", one.table, one.key, what);
  }
  if (invocation.json) fmt::print("{}\n", json::serialize(json::object{{"rows", rows}}));
  return 0;
}

}  // namespace

int repair(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  if (invocation.dry_run) return show_repairs(invocation, state_dir);
  json::object body;
  if (invocation.flags.reason) body["reason"] = *invocation.flags.reason;
  const auto response = control::call(state_dir, "POST", "/v1/repair", json::serialize(body), answer_time);
  if (json::parse(response.body).at("run").is_null()) {
    fmt::print("{}\n",
               invocation.json ? response.body : "nothing to repair: verify found no row that differs");
    return 0;
  }
  attach(state_dir);
  return tell(invocation, state_dir);
}

// Of a mapped table, of which the daemon makes rounds of verify and repair; the last one's report is the
// answer.
int attach_to_resync(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  attach(state_dir);
  return tell(invocation, state_dir);
}

int verify_status(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  try {
    auto now = progress(state_dir);
    if (is_running(now) && !invocation.json) fmt::print("{}\n", line_of(now));
  } catch (const control::NotRunning&) {  // what was found is there without a daemon
  }
  return tell(invocation, state_dir);
}

int verify_stop(const Invocation& invocation) {
  json::object body;
  if (invocation.flags.reason) body["reason"] = *invocation.flags.reason;
  const auto response =
      control::call(find_state_dir(invocation), "POST", "/v1/verify/stop", json::serialize(body), stop_time);
  bool stopped = json::parse(response.body).at("stopped").as_bool();
  fmt::print("{}\n", invocation.json ? response.body
                     : stopped       ? "stopped"
                                     : "nothing to stop: verify does not run");
  return 0;
}

}  // namespace tidegate::cli
