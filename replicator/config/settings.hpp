// All that an operator can set, after flags, environment and file have been weighed. Plain data; load.hpp
// fills it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "apply/mapping/presets/supabase_auth.hpp"
#include "apply/plan.hpp"
#include "apply/schema/planner.hpp"
#include "replicator/config/url.hpp"

namespace tidegate {

enum class Writers { upgrades, waits };  // upgrades: transactions that read first and write later
enum class OnSchemaChange { carry, pause };
enum class TargetSchema { create, existing };
enum class LogFormat { text, json };
enum class LogLevel { debug, info, warn, error };

// Of a source that is a Postgres server.
struct PostgresSourceSettings {
  std::string ca_file;
  std::string publication, slot;  // empty: tidegate_ and the pipeline's name
  std::string pg_bin;             // where pg_dump is; empty: Debian's newest
  std::uint64_t jobs = 2;         // connections that copy the snapshot
  std::chrono::milliseconds snapshot_max_age = std::chrono::hours(1);
  std::chrono::milliseconds schema_poll{5000};  // between two looks at the catalogue
  // What its disk has for WAL that it keeps for us, where the server sets no limit; 0: not known.
  std::uint64_t wal_room = 0;
  std::uint64_t spool_limit = std::uint64_t{4} << 30;  // bytes of open transactions in the state directory
  bool accept_unbounded_wal = false;  // the slot may fill the source's disk while tidegate is away
  bool set_identity_full = false;     // consent to REPLICA IDENTITY FULL on tables without a usable key
};

struct SourceSettings {
  Endpoint end;
  Writers writers = Writers::upgrades;
  std::chrono::milliseconds busy_timeout{
      5000};  // the application's own: how long its writers wait for a lock
  OnSchemaChange on_schema_change = OnSchemaChange::carry;
  bool allow_wal = false;  // consent to switch the file to WAL
  PostgresSourceSettings postgres;
};

struct SqlFile {
  std::string name;  // as it is written in the file
  std::filesystem::path path;
};

struct TargetSettings {
  Endpoint end;
  std::string ca_file;
  TargetSchema schema = TargetSchema::create;
  std::vector<SqlFile> seeds;         // carried out once, before the first copy
  std::vector<SqlFile> post_sql;      // carried out once, after the load
  std::vector<std::string> realtime;  // "schema.table": join supabase_realtime after the catch-up
  std::vector<Grant> grants;          // [[target.grants]]: on every table that tidegate creates
};

struct TableChoice {  // patterns with * and ?, compared without case as SQLite's names are
  std::vector<std::string> include = {"*"};
  std::vector<std::string> exclude;
};
bool chosen(const TableChoice& choice, std::string_view table);
bool matches_pattern(std::string_view pattern, std::string_view name);

struct Rule {  // [[rule]]
  std::string table, column;
  Misfit on;
  Remedy remedy;
};

struct Check {  // [[check]]: what every row of a table must be, as SQL of the target
  std::string table, must;
};

struct ApplySettings {
  std::uint64_t max_rows = 10'000;
  std::uint64_t max_bytes = 16 << 20;
  std::chrono::milliseconds max_delay{50};
};

struct JournalSettings {
  std::chrono::milliseconds retention = std::chrono::hours(24);
};

struct CutoverSettings {
  std::chrono::milliseconds max_hold{500};  // from the first request of the lock to its end
  std::chrono::milliseconds max_lag{1000};  // a nonce's round trip, for GUARD
  std::chrono::milliseconds calm{60'000};   // for how long the lag has to stay below that
  std::chrono::milliseconds timeout = std::chrono::minutes(10);  // all attempts together
  std::uint64_t attempts = 3;
  std::chrono::milliseconds backup_max_age = std::chrono::hours(24);  // of the target's; 0: none is asked for
};

enum class HookPolicy { fail, retry, warn };

struct HookSettings {
  std::filesystem::path dir;  // empty: no hooks
  std::chrono::milliseconds timeout{30'000};
  std::map<std::string, std::chrono::milliseconds> timeouts;  // by event, where it differs
  std::map<std::string, HookPolicy> policies;
};

struct LogSettings {
  LogFormat format = LogFormat::text;
  LogLevel level = LogLevel::info;
  std::string file;  // empty: stderr
};

struct Settings {
  std::string pipeline;
  SourceSettings source;
  TargetSettings target;
  TableChoice tables;
  std::vector<Rule> rules;
  std::vector<Check> checks;
  std::vector<MapDefinition> maps;       // with what their presets made
  std::vector<AuthPreset> auth_presets;  // as they were written
  std::string credentials_secret;        // from the environment; never shown. Empty: none
  ApplySettings apply;
  JournalSettings journal;
  CutoverSettings cutover;
  HookSettings hooks;
  LogSettings log;
  std::filesystem::path
      state_dir;           // absolute; empty only where load() could not know the pipeline (Purpose::find)
  bool adopt = false;      // write into tables that hold rows which tidegate did not write
  bool no_backup = false;  // into a target that has rows, without a backup of it

  std::string file;  // the configuration file that was read; empty: none
  std::map<std::string, std::string>
      origins;  // dotted name -> "flag --source", "environment X", "file:line:column"
};

// As set, or tidegate_ and the pipeline's name, in characters that a slot may have.
std::string publication_name(const Settings& settings);
std::string slot_name(const Settings& settings);

// One line of `config show`: value as written in TOML, secrets masked; origin "default" where nobody set it.
struct Shown {
  std::string name, value, origin;
};
std::vector<Shown> show(const Settings& settings);

}  // namespace tidegate
