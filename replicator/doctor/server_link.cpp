#include "replicator/doctor/server_link.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

namespace tidegate {
namespace {

using Level = Finding::Level;

constexpr double clock_tolerance = 5;  // seconds; certificates, logins and "when" in two logs begin to suffer

constexpr const char* link_sql = R"(
SELECT coalesce(pg_catalog.inet_server_addr() << '127.0.0.0/8' OR pg_catalog.inet_server_addr() = '::1', true),
  pg_catalog.pg_backend_pid(),
  coalesce((SELECT s.ssl FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_catalog.pg_backend_pid()), false))";

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Half of the round trip is behind us when the server looks at its clock.
double clock_ahead(postgres::Connection& server) {
  const double before = seconds_now();
  auto row = server.run("SELECT extract(epoch FROM pg_catalog.clock_timestamp())");
  return std::stod(std::string(row.text(0, 0))) - (before + seconds_now()) / 2;
}

bool checks_certificate(const Endpoint& end, const std::string& ca_file) {
  std::string mode = ca_file.empty() ? "" : "verify-full";
  for (const auto& [name, value] : end.parameters) {
    if (name == "sslmode") mode = value;
  }
  return mode.empty() || mode == "verify-full";  // the default, to anything that is not here
}

}  // namespace

ServerLink read_link(postgres::Connection& server, const Endpoint& end, const std::string& ca_file) {
  ServerLink link;
  auto row = server.run(link_sql);
  link.is_local = row.boolean(0, 0);
  // A pooler makes up a pid of its own for its clients.
  link.behind_pooler = row.integer(0, 1) != server.backend_pid();
  link.encrypted = row.boolean(0, 2);
  link.clock_ahead = clock_ahead(server);
  link.checks_certificate = checks_certificate(end, ca_file);
  return link;
}

std::vector<Finding> findings_of(const ServerLink& link, const std::string& side) {
  std::vector<Finding> findings;
  const auto find = [&](Level level, const char* code, std::string message, std::string mend) {
    findings.push_back({level, code, "", "", std::move(message), std::move(mend)});
  };
  const std::string verify =
      fmt::format("sslmode=verify-full with the server's CA file ([{}] ca_file)", side);
  if (!link.encrypted)
    find(link.is_local ? Level::note : Level::block, "no-tls",
         fmt::format("the connection to the {} is not encrypted", side), verify);
  if (std::abs(link.clock_ahead) > clock_tolerance)
    find(Level::warn, "clock-differs",
         fmt::format("the {}'s clock is {:.0f} s {} this machine's", side, std::abs(link.clock_ahead),
                     link.clock_ahead > 0 ? "ahead of" : "behind"),
         "set the clocks (NTP); nothing of the copy depends on them, but times in logs and reports do");
  if (link.behind_pooler)
    find(Level::warn, "behind-pooler",
         fmt::format("the {} is reached through a pooler: in session mode that works, in transaction mode it "
                     "breaks what a session holds, and a change stream needs a direct connection",
                     side),
         "take the direct connection, or make sure of session mode");
  if (link.encrypted && !link.is_local && !link.checks_certificate)
    find(Level::warn, "tls-not-verified",
         fmt::format(
             "the {}'s certificate is not checked in full: somebody between could read and change all", side),
         verify);
  return findings;
}

}  // namespace tidegate
