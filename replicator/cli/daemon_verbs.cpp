// The verbs that ask the daemon to do something.

#include <boost/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "replicator/cli/verbs.hpp"
#include "replicator/config/units.hpp"
#include "replicator/control/client.hpp"
#include "replicator/control/status.hpp"
#include "replicator/failure.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::cli {

namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr auto answer_time = 15s;  // of a call that does not wait: the daemon answers from memory
constexpr auto stop_time = 60s;    // a batch that is being applied ends first
constexpr auto look_again = 50ms;

json::object with_reason(const Invocation& invocation) {
  json::object body;
  if (invocation.flags.reason) body["reason"] = *invocation.flags.reason;
  return body;
}

control::Response post(const Invocation& invocation, const std::string& path, const json::object& body,
                       std::chrono::milliseconds time = answer_time) {
  return control::call(find_state_dir(invocation), "POST", path, json::serialize(body), time);
}

// With --json the daemon's own words, else the sentence.
int done(const Invocation& invocation, const control::Response& response, const std::string& sentence) {
  fmt::print("{}\n", invocation.json ? response.body : sentence);
  return 0;
}

void wait_for_end(const std::filesystem::path& state_dir, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (lock_holder(state_dir)) {
    if (std::chrono::steady_clock::now() >= end)
      throw Coded<std::runtime_error>("timed-out", "the daemon was told to stop and has not ended yet",
                                      "it ends after the batch that it is in; see `tidegate status`",
                                      Exit::timed_out);
    std::this_thread::sleep_for(look_again);
  }
}

int nothing_to_stop(const Invocation& invocation, const std::filesystem::path& state_dir) {
  if (!std::filesystem::exists(state_dir))
    throw Coded<std::runtime_error>("not-running",
                                    fmt::format("there is no state directory {}", state_dir.string()),
                                    "`tidegate list` shows what runs; say which with --state DIR");
  if (invocation.json)
    fmt::print("{}\n", json::serialize(json::value{{"stopped", false}, {"running", false}}));
  else
    fmt::print("nothing to stop: no daemon runs on {}\n", state_dir.string());
  return 0;
}

}  // namespace

std::optional<std::string> end_daemon(const Invocation& invocation) {
  try {
    const auto response = post(invocation, "/v1/stop", with_reason(invocation));
    wait_for_end(find_state_dir(invocation), invocation.timeout.value_or(stop_time));
    return response.body;
  } catch (const control::NotRunning&) {
    return std::nullopt;
  }
}

int stop(const Invocation& invocation) {
  const auto state_dir = find_state_dir(invocation);
  const auto answer = end_daemon(invocation);
  if (!answer) return nothing_to_stop(invocation, state_dir);
  fmt::print("{}\n", invocation.json ? *answer : "stopped");
  return 0;
}

namespace {

// A daemon that holds its directory and does not answer yet, or does not know yet which side is live, is
// starting: that counts against the time.
control::Response sync_once_it_answers(const Invocation& invocation, std::chrono::milliseconds time) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + time;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - steady_clock::now());
    json::object body;
    body["timeout_ms"] = std::max<std::int64_t>(left.count(), 0);
    try {
      // The daemon keeps the time; the margin is for its answer.
      return post(invocation, "/v1/sync", body, std::max(left, 0ms) + answer_time);
    } catch (const Coded<std::runtime_error>& failure) {
      const bool starting = failure.code == "not-answering" || failure.code == "starting";
      if (!starting || steady_clock::now() >= end) throw;
    }
    std::this_thread::sleep_for(look_again);
  }
}

// Tables whose changes the stream leaves out just now.
std::string excepted_of(const control::Response& response) {
  const json::value answer = json::parse(response.body);
  const auto* excepted = answer.is_object() ? answer.get_object().if_contains("excepted") : nullptr;
  if (!excepted || !excepted->is_array() || excepted->get_array().empty()) return "";
  std::string names;
  for (const auto& name : excepted->get_array())
    names += (names.empty() ? "" : ", ") + json::value_to<std::string>(name);
  return ", but not of the tables that are stopped or copied again: " + names;
}

std::string reached(const control::Response& response, std::chrono::milliseconds took) {
  const json::value answer = json::parse(response.body);
  const json::object nothing;
  const auto& said = answer.is_object() ? answer.get_object() : nothing;
  const auto* direction = said.if_contains("direction");
  if (!direction || *direction != "backward")
    return fmt::format("all that was committed before this call is in the target ({}){}",
                       format_duration(took), excepted_of(response));
  const auto rejects = said.at("rejects").to_number<std::uint64_t>();
  return fmt::format("all that was committed on the target before this call is in the legacy database ({}){}",
                     format_duration(took),
                     rejects == 0 ? "" : fmt::format(", but for {} rows that it cannot hold", rejects));
}

}  // namespace

int sync(const Invocation& invocation) {
  const auto begin = std::chrono::steady_clock::now();
  const auto response = sync_once_it_answers(invocation, invocation.timeout.value_or(60s));
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  return done(invocation, response, reached(response, took));
}

int pause(const Invocation& invocation) {
  return done(invocation, post(invocation, "/v1/pause", with_reason(invocation)),
              "paused: nothing is applied; capture goes on into the journal. Go on with: tidegate resume");
}

int resume(const Invocation& invocation) {
  return done(invocation, post(invocation, "/v1/resume", with_reason(invocation)), "resumed");
}

int throttle(const Invocation& invocation) {
  json::object body = with_reason(invocation);
  body["rows_per_second"] = invocation.rate ? json::value(*invocation.rate) : json::value(nullptr);
  const auto response = post(invocation, "/v1/throttle", body);
  return done(invocation, response,
              invocation.rate ? fmt::format("at most {} rows per second", format_count(*invocation.rate))
                              : "throttle off");
}

namespace {

constexpr auto look_at_progress = 200ms;

std::optional<TableStatus> table_of(const Status& status, const std::string& name) {
  for (const auto& table : status.tables) {
    if (table.source == name) return table;
  }
  return std::nullopt;
}

// What went wrong is tried again by the daemon; it is told here once.
void tell_failure(const Status& status, std::string& told) {
  for (const auto& error : status.errors) {
    if (error.code != "resync-failed" || error.message == told) continue;
    fmt::print(stderr, "{}\n", error.message);
    told = error.message;
  }
}

TableStatus attach(const Invocation& invocation, const std::string& name) {
  for (std::string told;;) {
    auto status = status_from_json(
        control::call(find_state_dir(invocation), "GET", "/v1/status", "", answer_time).body);
    auto table = table_of(status, name);
    if (!table || table->state != "resync") return table.value_or(TableStatus{});
    tell_failure(status, told);
    std::this_thread::sleep_for(look_at_progress);
  }
}

}  // namespace

namespace {

// Until the way back runs again; throws where the daemon has given it up.
RollbackStatus attach_to_rebuild(const Invocation& invocation) {
  for (std::string told;;) {
    const auto status = status_from_json(
        control::call(find_state_dir(invocation), "GET", "/v1/status", "", answer_time).body);
    const RollbackStatus& back = status.rollback;
    for (const auto& error : status.errors)
      if (error.code == "way-back-failed" && back.rebuilding.empty())
        throw Coded<std::runtime_error>("way-back-failed", error.message, "`tidegate status` says the same");
    if (back.rebuilding.empty() && back.lag_seconds) return back;
    if (!invocation.json && !back.rebuilding.empty() && back.rebuilding != told)
      fmt::print("  {}\n", told = back.rebuilding), std::fflush(stdout);
    std::this_thread::sleep_for(look_at_progress);
  }
}

int resync_way_back(const Invocation& invocation) {
  const auto begin = std::chrono::steady_clock::now();
  json::object body = with_reason(invocation);
  body["confirm"] = invocation.confirm;
  post(invocation, "/v1/way-back", body);
  if (!invocation.json)
    fmt::print("the way back is being built anew; the daemon goes on with it if you press Ctrl-C\n");
  std::fflush(stdout);
  const auto back = attach_to_rebuild(invocation);
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  if (invocation.json)
    fmt::print("{}\n", json::serialize(json::value{{"rejects", back.rejects}}));
  else
    fmt::print("the way back runs again, after {}; next: tidegate rollback --dry-run\n",
               format_duration(took));
  return 0;
}

}  // namespace

// The daemon does the work; this only watches, so that Ctrl-C ends no more than the watching.
int resync(const Invocation& invocation) {
  if (invocation.way_back) return resync_way_back(invocation);
  if (invocation.word.empty())
    throw Coded<Usage>("usage", "resync needs a table, or --way-back", "`tidegate status` lists the tables");
  const auto begin = std::chrono::steady_clock::now();
  json::object body = with_reason(invocation);
  body["table"] = invocation.word;
  const auto answer = json::parse(post(invocation, "/v1/resync", body).body);
  const auto name = json::value_to<std::string>(answer.at("table"));
  if (answer.as_object().contains("run")) {
    if (!invocation.json)
      fmt::print(
          "all that the maps of {} make is compared and mended; the daemon goes on if you press Ctrl-C\n",
          name);
    std::fflush(stdout);
    return attach_to_resync(invocation);
  }
  if (!invocation.json)
    fmt::print("table {} is being copied again; the daemon goes on with it if you press Ctrl-C\n", name);
  std::fflush(stdout);
  const auto table = attach(invocation, name);
  if (table.state == "stopped")
    throw Coded<std::runtime_error>("table-stopped", "table " + name + " was stopped again",
                                    "`tidegate status` says why");
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  if (invocation.json)
    fmt::print("{}\n", json::serialize(json::value{{"table", name}, {"rows", table.rows_copied}}));
  else
    fmt::print("table {} is in step again: {} copied in {}\n", name, format_rows(table.rows_copied),
               format_duration(took));
  return 0;
}

}  // namespace tidegate::cli
