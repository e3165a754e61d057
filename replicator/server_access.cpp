#include "replicator/server_access.hpp"

#include <algorithm>

#include "db/error.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

struct Known {
  std::string_view words;  // of libpq or the server
  const char *code, *mend;
};

constexpr Known known_failures[] = {
    {"password authentication failed", "28P01",
     "check user and password of the URL; percent-encode / ? # % and @ in the password"},
    {"no password supplied", "no-password",
     "put it into the URL in TIDEGATE_TARGET_URL (or TIDEGATE_SOURCE_URL), an --env-file or tidegate.toml, "
     "or into a PGPASSFILE"},
    {"no pg_hba.conf entry", "28000", "let the server's pg_hba.conf in, or use TLS (sslmode=require)"},
    {"certificate", "tls-failed",
     "give the CA file of the project ([target] ca_file, or sslrootcert= in the URL), and the host's name as "
     "the certificate "
     "has it; sslmode=require in the URL encrypts without knowing who answers"},
    {"SSL", "tls-failed", "switch TLS on at the server, or say in the URL what it can do (sslmode=)"},
    {"does not exist", "3D000",
     "check the names of user and database in the URL; on Supabase both are postgres"},
    {"too many", "53300", "close some connections of the server, or raise its max_connections"},
    {"remaining connection slots", "53300",
     "close some connections of the server, or raise its max_connections"},
    {"starting up", "57P03", "wait until it is up"},
    {"shutting down", "57P03", "wait until it is up"},
};
constexpr const char* unreachable_mend =
    "check host, port and network; Supabase's direct host is IPv6 only, its session pooler (port 5432) has "
    "IPv4";

std::string after(const std::string& text, std::string_view mark) {
  auto found = text.rfind(mark);
  return found == std::string::npos ? text : text.substr(found + mark.size());
}

// libpq says one line or two for each address that it tried; the server's own word counts most.
std::string cause_in(const std::string& words) {
  std::string cause = words.find("FATAL:  ") != std::string::npos ? after(words, "FATAL:  ") : words;
  cause = cause.substr(0, cause.find('\n'));
  return after(cause, " failed: ");
}

}  // namespace

postgres::ConnectOptions connect_options(const Settings& settings, const std::string& application_name) {
  return {conninfo(settings.target.end, settings.target.ca_file), application_name, "", 10s, 30s};
}

postgres::ConnectOptions source_options(const Settings& settings, const std::string& application_name) {
  return {conninfo(settings.source.end, settings.source.postgres.ca_file), application_name, "", 10s, 30s};
}

Told connect_failure(const std::string& words, const std::string& side) {
  constexpr std::string_view begin = "connect to ";
  auto colon = words.find(": ");
  std::string where = words.starts_with(begin) && colon != std::string::npos
                          ? words.substr(begin.size(), colon - begin.size())
                          : std::string("server");
  std::string cause = cause_in(colon == std::string::npos ? words : words.substr(colon + 2));
  std::string message = "the " + side + " " + where + " cannot be used: " + cause;
  auto known = std::find_if(std::begin(known_failures), std::end(known_failures),
                            [&](const Known& one) { return cause.find(one.words) != std::string::npos; });
  if (known == std::end(known_failures)) return {"08001", message, unreachable_mend, {}};
  return {known->code, message, known->mend, {}};
}

namespace {

postgres::Connection connect_to(const postgres::ConnectOptions& options, const std::string& side) {
  try {
    return postgres::Connection(options);
  } catch (const Error& error) {
    Told told = connect_failure(error.what(), side);
    throw Coded<std::runtime_error>(told.code, told.message, told.mend);
  }
}

}  // namespace

postgres::Connection connect_target(const postgres::ConnectOptions& options) {
  return connect_to(options, "target");
}

postgres::Connection connect_source(const postgres::ConnectOptions& options) {
  return connect_to(options, "source");
}

bool may_pass(const Told& failure) {
  return failure.code == "08001" || failure.code == "53300" || failure.code == "57P03";
}

}  // namespace tidegate
