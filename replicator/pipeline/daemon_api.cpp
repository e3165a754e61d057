#include "replicator/pipeline/daemon_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <set>

#include "replicator/control/metrics.hpp"
#include "replicator/cutover/cutover_api.hpp"
#include "replicator/cutover/permitted.hpp"
#include "replicator/failure.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

control::Response ok(const json::value& body) {
  return {200, "application/json", json::serialize(body)};
}

json::object body_of(const control::Request& request) {
  if (request.body.empty()) return {};
  boost::system::error_code error;
  json::value value = json::parse(request.body, error);
  if (error || !value.is_object()) throw Coded<Usage>("bad-request", "the request's body is no JSON object");
  return value.get_object();
}

std::vector<std::int64_t> ids_of(const json::object& body) {
  std::vector<std::int64_t> ids;
  const json::value* given = body.if_contains("ids");
  if (!given || given->is_null()) return ids;
  for (const auto& id : given->as_array()) {
    try {
      ids.push_back(std::stoll(std::string(id.as_string())));
    } catch (const std::exception&) {
      throw Coded<Usage>("no-such-entry", "an id is no number", "`tidegate quarantine list` prints the ids");
    }
  }
  if (ids.empty()) throw Coded<Usage>("usage", "no ids were given", "`tidegate quarantine list` prints them");
  return ids;
}

std::string reason_of(const json::object& body) {
  const json::value* reason = body.if_contains("reason");
  return reason && reason->is_string() ? std::string(reason->get_string()) : "";
}

std::string shown(const std::optional<std::uint64_t>& rows_per_second) {
  return rows_per_second ? std::to_string(*rows_per_second) + " rows/s" : "off";
}

json::object shown(const QuarantineEntry& entry) {
  json::object out{{"id", std::to_string(entry.id)},
                   {"table", entry.source_table},
                   {"key", entry.source_key},
                   {"column", entry.column},
                   {"reason", entry.reason},
                   {"position", std::to_string(entry.sequence)},
                   {"at", entry.last_seen},
                   {"first_at", entry.first_seen},
                   {"holds", entry.target_holds == "none" ? "nothing" : entry.target_holds},
                   {"state", entry.state}};
  if (!entry.sqlstate.empty()) out["sqlstate"] = entry.sqlstate;
  if (!entry.constraint.empty()) out["constraint"] = entry.constraint;
  if (!entry.accepted_reason.empty()) out["accepted_reason"] = entry.accepted_reason;
  return out;
}

constexpr std::int64_t growth_window_us = 60'000'000;

std::int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

double seconds_since_us(std::int64_t then) {
  return std::max(0.0, static_cast<double>(now_us() - then) / 1e6);
}

std::string text_of(const json::value& value) {
  return std::string(value.get_string());
}

// By its full name, or by the part behind the schema where only one table has that.
std::string replicated_table(const Status& status, const std::string& name) {
  std::set<std::string> found;  // a mapped one is listed once for each table that it fills
  for (const auto& table : status.tables) {
    if (table.source == name) return name;
    if (table.source.ends_with("." + name)) found.insert(table.source);
  }
  if (found.size() == 1) return *found.begin();
  throw Coded<Usage>("no-such-table",
                     found.empty() ? "no table " + name + " is replicated"
                                   : "more than one table is called " + name + "; say which with its schema",
                     "`tidegate status` lists the tables");
}

bool has_error(const Status& status, std::string_view code) {
  return std::any_of(status.errors.begin(), status.errors.end(),
                     [&](const StatusError& error) { return error.code == code; });
}

std::vector<std::string> next_steps(const Status& status) {
  if (status.phase == "paused") return {"tidegate resume"};
  for (const auto& table : status.tables) {
    if (table.state == "stopped")
      return {"tidegate resync " + table.source, "tidegate explain schema-changed"};
  }
  if (has_error(status, "capture")) return {"tidegate explain capture"};
  if (status.quarantined > 0) return {"tidegate quarantine list"};
  if (has_error(status, "verify-differences")) return {"tidegate verify status", "tidegate repair --dry-run"};
  if (status.phase == "streaming") return {"tidegate sync", "tidegate status --watch"};
  return {"tidegate status --watch"};
}

}  // namespace

Status DaemonApi::status() {
  Status status = coordination_.status();
  JournalReader journal(state_path_);
  auto backlog = journal.backlog_after(coordination_.applied());
  status.lag.seconds = std::max(coordination_.capture_has_waited().count(),
                                backlog.entries ? seconds_since_us(backlog.oldest_written_at_us) : 0.0);
  status.lag.bytes = backlog.bytes;
  status.lag.transactions = backlog.transactions;
  std::error_code ignored;
  auto space = std::filesystem::space(std::filesystem::path(state_path_).parent_path(), ignored);
  if (!ignored) status.journal.free_bytes = space.available;
  status.journal.bytes = journal.total_bytes();
  status.journal.bytes_per_second =
      static_cast<double>(journal.bytes_since(now_us() - growth_window_us)) / (growth_window_us / 1e6);
  if (coordination_.paused()) status.phase = "paused";
  status.sampled_at_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
  status.totals.rows_copied = 0;
  std::uint64_t total = 0;
  for (const auto& table : status.tables) {
    status.totals.rows_copied += table.rows_copied;
    total += table.rows_total.value_or(0);
  }
  if (!status.tables.empty()) status.totals.rows_total = total;
  status.verify = verify_.status();
  status.next_steps = next_steps(status);
  cutover_.show(status);
  return status;
}

void DaemonApi::audit(const char* action, const control::Request& request) {
  store_.audit(action, request.by, reason_of(body_of(request)), "");
}

namespace {

Coordination::Clock::time_point end_of(const control::Request& request) {
  const auto body = body_of(request);
  const json::value* given = body.if_contains("timeout_ms");
  return Coordination::Clock::now() +
         std::chrono::milliseconds(given ? given->to_number<std::int64_t>() : 60000);
}

}  // namespace

control::Response DaemonApi::sync(const control::Request& request) {
  const auto until = end_of(request);
  auto wish = coordination_.want_cut();
  auto captured = coordination_.wait_for_cut(wish, until, request.stop);
  bool there = captured && coordination_.wait_for_applied(*captured, until, request.stop);
  if (!there && request.stop.stop_requested())
    throw Coded<Refused>("stopping", "the daemon ended before the target was there",
                         "`tidegate status` says why; start it again, then sync");
  if (!there) {
    throw Coded<std::runtime_error>("timed-out", "the time is up and the target is not there yet",
                                    "`tidegate status` shows what it waits for", Exit::timed_out);
  }
  json::array excepted;
  for (const auto& table : coordination_.status().tables) {
    if (table.left_out) excepted.push_back(json::value(table.source));
  }
  return ok({{"position", std::to_string(*captured)}, {"direction", "forward"}, {"excepted", excepted}});
}

control::Response DaemonApi::sync_back(const control::Request& request) {
  const auto reached = cutover_.sync_back(end_of(request), request.stop);
  return ok({{"position", std::to_string(reached.position)},
             {"direction", "backward"},
             {"rejects", reached.rejects},
             {"excepted", json::array()}});
}

control::Response DaemonApi::pause(const control::Request& request, bool paused) {
  store_.audit(paused ? "pause" : "resume", request.by, reason_of(body_of(request)), "", status().phase,
               paused ? "paused" : "applying");
  coordination_.pause(paused);
  return ok({{"phase", status().phase}});
}

control::Response DaemonApi::throttle(const control::Request& request) {
  auto body = body_of(request);
  const json::value* rate = body.if_contains("rows_per_second");
  std::optional<std::uint64_t> limit;
  if (rate && !rate->is_null()) limit = rate->to_number<std::uint64_t>();
  store_.audit("throttle", request.by, reason_of(body), "", shown(coordination_.throttle()), shown(limit));
  coordination_.throttle(limit);
  return ok({{"rows_per_second", limit ? json::value(*limit) : json::value(nullptr)}});
}

control::Response DaemonApi::stop(const control::Request& request) {
  audit("stop", request);
  coordination_.request_stop();
  return ok({{"phase", coordination_.status().phase}});
}

control::Response DaemonApi::quarantine(const control::Request& request) {
  auto target = connect_target(target_.connect);
  std::vector<QuarantineEntry> entries;
  if (target.run("SELECT pg_catalog.to_regclass('tidegate.quarantine') IS NOT NULL").boolean(0, 0))
    entries = list_quarantine(target, target_.pipeline);
  constexpr std::string_view one = "/v1/quarantine/";
  if (!request.path.starts_with(one)) {
    json::array list;
    for (const auto& entry : entries) list.push_back(shown(entry));
    return ok({{"entries", list}});
  }
  for (const auto& entry : entries) {
    if (std::to_string(entry.id) == request.path.substr(one.size())) return ok(shown(entry));
  }
  throw Coded<Usage>("no-such-entry", "the quarantine has no entry " + request.path.substr(one.size()),
                     "`tidegate quarantine list` prints the ids");
}

control::Response DaemonApi::accept(const control::Request& request) {
  auto body = body_of(request);
  if (reason_of(body).empty())
    throw Coded<Usage>("usage", "accepting rows for good needs a reason", "add --reason");
  auto target = connect_target(target_.connect);
  auto accepted = accept_quarantine(target, target_.pipeline, ids_of(body), reason_of(body));
  audit("quarantine accept", request);
  apply_.refresh_quarantine();
  return ok({{"accepted", accepted}});
}

control::Response DaemonApi::retry(const control::Request& request) {
  if (coordination_.is_streaming())
    cutover::require_permitted("quarantine retry", cutover_.permission_phase(status().phase));
  if (!coordination_.is_streaming()) {
    throw Coded<Refused>("not-streaming", "quarantined rows can be retried once the pipeline is streaming",
                         "`tidegate status` shows its phase");
  }
  audit("quarantine retry", request);
  auto answer = apply_.retry_quarantined(ids_of(body_of(request)));
  while (answer.wait_for(50ms) != std::future_status::ready) {
    if (request.stop.stop_requested())
      throw Coded<Refused>("stopping", "the daemon is stopping", "start it again, then retry");
  }
  auto counts = answer.get();
  if (counts.retried == 0 && !counts.unreadable.empty()) {
    const std::string& table = *counts.unreadable.begin();
    throw Coded<Refused>("no-key",
                         "rows of table " + table + " have no key by which they could be read again",
                         "tidegate resync " + table);
  }
  return ok({{"retried", counts.retried},
             {"applied", counts.applied},
             {"remaining", counts.retried - counts.applied},
             {"unreadable", json::array(counts.unreadable.begin(), counts.unreadable.end())}});
}

control::Response DaemonApi::resync(const control::Request& request) {
  auto body = body_of(request);
  const json::value* given = body.if_contains("table");
  std::string table = replicated_table(status(), given && given->is_string() ? text_of(*given) : "");
  if (!coordination_.is_streaming()) {
    throw Coded<Refused>("not-streaming", "a table can be copied again once the pipeline is streaming",
                         "`tidegate status` shows its phase");
  }
  if (verify_.maps(table)) {
    auto run = verify_.resync(table, request.by);
    audit("resync", request);
    return ok({{"table", table}, {"run", run.id}});
  }
  audit("resync", request);
  auto answer = apply_.resync(table);
  while (answer.wait_for(50ms) != std::future_status::ready) {
    if (request.stop.stop_requested())
      throw Coded<Refused>("stopping", "the daemon is stopping", "start it again, then resync");
  }
  answer.get();
  return ok({{"table", table}});
}

control::Response DaemonApi::verify(const control::Request& request) {
  if (request.path.ends_with("/stop")) {
    audit("verify stop", request);
    return ok({{"stopped", verify_.stop()}});
  }
  auto wanted = verify::request_from_json(request.body);
  wanted.mend = false;  // that is resync's
  auto run = verify_.start(wanted, request.by);
  audit("verify", request);
  return ok({{"run", run.id}});
}

control::Response DaemonApi::repair(const control::Request& request) {
  auto run = verify_.repair(request.by);
  audit("repair", request);
  return ok({{"run", run ? json::value(run->id) : json::value(nullptr)}});
}

control::Response DaemonApi::health(bool ready) {
  if (!ready || coordination_.is_streaming()) return ok({{"ok", true}});
  return {503, "application/json",
          json::serialize(json::value{{"ok", false}, {"phase", coordination_.status().phase}})};
}

// Each verb by the table of cutover/permitted.hpp; `stop` is always allowed.
std::optional<control::Response> DaemonApi::post(const control::Request& request) {
  const std::string& path = request.path;
  if (path == "/v1/stop") return stop(request);
  const std::string phase = cutover_.permission_phase(status().phase);
  if (auto response = cutover::answer(cutover_, request, phase, target_.pipeline)) return response;
  const auto permit = [&](const char* verb) { cutover::require_permitted(verb, phase); };
  if (path == "/v1/sync") return permit("sync"), phase == "reversed" ? sync_back(request) : sync(request);
  if (path == "/v1/pause") return permit("pause"), pause(request, true);
  if (path == "/v1/resume") return permit("resume"), pause(request, false);
  if (path == "/v1/throttle") return permit("throttle"), throttle(request);
  if (path == "/v1/resync") return permit("resync"), resync(request);
  if (path == "/v1/verify") return permit("verify"), verify(request);
  if (path == "/v1/verify/stop") return verify(request);
  if (path == "/v1/repair") return permit("repair"), repair(request);
  if (path == "/v1/quarantine/retry") return retry(request);
  if (path == "/v1/quarantine/accept") return permit("quarantine accept"), accept(request);
  return std::nullopt;
}

control::Response DaemonApi::answer(const control::Request& request) {
  const std::string& path = request.path;
  if (request.method == "GET") {
    if (path == "/v1/status") return {200, "application/json", to_json(status())};
    if (path == "/metrics") return {200, "text/plain; version=0.0.4", metrics_text(status())};
    if (path == "/healthz" || path == "/readyz") return health(path == "/readyz");
    if (path == "/v1/verify") return {200, "application/json", verify_.progress_json()};
    if (path.starts_with("/v1/quarantine")) return quarantine(request);
  }
  if (request.method == "POST") {
    if (auto response = post(request)) return *response;
  }
  return control::not_found(request);
}

}  // namespace tidegate
