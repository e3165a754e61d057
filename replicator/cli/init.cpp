#include <fmt/format.h>
#include <fmt/ranges.h>

#include "replicator/cli/draft.hpp"
#include "replicator/cli/look.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/failure.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::cli {

namespace fs = std::filesystem;

namespace {

std::string toml_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '$') quoted += '$';
    quoted += c;
  }
  return quoted + "\"";
}

std::string table_comment(const std::vector<std::string>& tables) {
  if (tables.empty()) return "";
  return fmt::format("# The source has {} tables: {}\n", tables.size(), fmt::join(tables, ", "));
}

// The source that flags, environment or file name, else the only SQLite file in this folder.
Endpoint source_for(const Invocation& invocation) {
  Invocation asked = invocation;
  if (invocation.force)
    asked.flags.config = "/dev/null";  // the file that is about to be replaced says nothing
  const Settings settings = settings_of(asked, Purpose::find);
  if (settings.source.end.kind != Endpoint::Kind::none) return settings.source.end;
  const auto files = sqlite_files_in(invocation.folder);
  if (files.size() != 1)
    throw Coded<Usage>("no-source",
                       files.empty() ? "there is no SQLite file in this folder"
                                     : "there are several SQLite files in this folder",
                       "say which: tidegate init --source PATH");
  return parse_endpoint(files.front().string());
}

void refuse_to_overwrite(const fs::path& file) {
  if (fs::exists(file))
    throw Coded<Refused>("file-exists", fmt::format("{} is there already", file.string()),
                         "move it away, or give --force");
}

std::string sqlite_lines(const Endpoint& source) {
  return "url = " + toml_string(masked(source)) + R"(
writers = "upgrades"            # "waits", if no transaction of the app reads first and writes later
on_schema_change = "carry"      # or "pause"
# allow_wal = true              # consent to switch the file to WAL mode: readers and writers then never block each other
)";
}

constexpr const char* postgres_lines =
    R"(url = "${LEGACY_DB_URL}"         # of a role with REPLICATION that owns the tables; a direct connection, no pooler
on_schema_change = "carry"      # or "pause"
# jobs = 2                      # connections that copy the snapshot
# snapshot_max_age = "1h"       # a copy that takes longer begins a new snapshot, so that the source can vacuum
# schema_poll = "5s"            # how often the source is asked whether its schema changed
# spool_limit = "4GiB"          # disk for transactions that are open at the source; beyond it the source's server keeps them itself
# set_identity_full = true      # consent to REPLICA IDENTITY FULL on tables without a primary key
# accept_unbounded_wal = true   # the source may keep WAL for us without limit while tidegate is away
# wal_room = "50GiB"            # what its disk has for that: the status then shows the time until it is full
)";

std::vector<std::string> look_at(const Endpoint& source) {
  if (source.kind != Endpoint::Kind::sqlite) return {};
  require_sqlite_file(source.path);
  try {
    return tables_of(source.path);
  } catch (const Error& failure) {
    fmt::print(stderr,
               "tidegate: the tables could not be read now ({}); the file is written without their names\n",
               failure.what());
    return {};
  }
}

}  // namespace

std::string draft_config(const Endpoint& source, const std::vector<std::string>& tables) {
  return fmt::format(
      R"(# tidegate: {0} into Supabase. `tidegate config check` validates this file, `tidegate plan` shows what it does.

[pipeline]
name = "{0}"

[source]
{1}
[target]
url = "${{SUPABASE_DB_URL}}"      # from the environment or --env-file: see .env.example
# ca_file = "prod-ca.crt"       # Project Settings, Database, SSL: TLS is verified in full then
schema = "create"               # "existing": the tables are there, made by migrations
# [[target.grants]]             # none unless you say so; row level security is on for every table
# role = "authenticated"
# privileges = ["select"]

{2}[tables]
include = ["*"]
exclude = []

# [[rule]]                      # for values that do not fit; without a rule they go to the quarantine
# table = "user"
# column = "last_login"
# on = "zero_date"              # `tidegate explain rules` lists them
# do = "null"
)",
      default_pipeline_name(source),
      source.kind == Endpoint::Kind::postgres ? postgres_lines : sqlite_lines(source), table_comment(tables));
}

std::string draft_environment(const Endpoint& source) {
  std::string legacy = source.kind == Endpoint::Kind::postgres
                           ? "LEGACY_DB_URL=postgresql://USER:PASSWORD@HOST:5432/DATABASE\n"
                           : "";
  return R"(# Copy to .env, fill in, keep out of version control, and give it with --env-file .env
# Direct connection or the pooler's session mode, port 5432 (not 6543). Percent-encode / ? # % in the password.
SUPABASE_DB_URL=postgresql://postgres:PASSWORD@db.PROJECT.supabase.co:5432/postgres
)" + legacy;
}

int init(const Invocation& invocation) {
  const fs::path config = invocation.folder / "tidegate.toml",
                 environment = invocation.folder / ".env.example";
  if (!invocation.force)
    for (const auto& file : {config, environment}) refuse_to_overwrite(file);
  const Endpoint source = source_for(invocation);
  const auto tables = look_at(source);
  write_file_atomically(config, draft_config(source, tables));
  write_file_atomically(environment, draft_environment(source));
  fmt::print(
      "wrote tidegate.toml{} and .env.example\nnext: cp .env.example .env, fill it in, then: "
      "tidegate doctor --env-file .env\n",
      source.kind == Endpoint::Kind::sqlite ? fmt::format(" ({} tables)", tables.size()) : "");
  return 0;
}

}  // namespace tidegate::cli
