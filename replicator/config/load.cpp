#include "replicator/config/load.hpp"
#include "replicator/config/load_cutover.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "replicator/config/read_map.hpp"
#include "replicator/config/section.hpp"
#include "replicator/failure.hpp"

namespace tidegate {

namespace {

namespace fs = std::filesystem;

const std::vector<std::string> log_formats = {"text", "json"};
const std::vector<std::string> log_levels = {"debug", "info", "warn", "error"};

constexpr std::chrono::milliseconds least_schema_poll{100};

// All that the parts of a load share.
struct Loading {
  const Flags& flags;
  const Environment& environment;
  fs::path folder;       // of the command
  fs::path file_folder;  // of the configuration file
  Purpose purpose;
  Settings settings;

  const Variable* variable(const std::string& name) const {
    const auto found = environment.find(name);
    return found == environment.end() || found->second.value.empty() ? nullptr : &found->second;
  }
  void note(const std::string& setting, std::string origin) { settings.origins[setting] = std::move(origin); }
};

std::string origin_of(const std::string& name, const Variable& variable) {
  return variable.origin == "environment" ? "environment " + name : name + " from " + variable.origin;
}

std::string absolute(const fs::path& path, const fs::path& folder) {
  return (path.is_absolute() ? path : folder / path).lexically_normal().string();
}

void make_absolute(Endpoint& end, const fs::path& folder) {
  if (end.kind == Endpoint::Kind::sqlite) end.path = absolute(end.path, folder);
}

// ${NAME} becomes the variable's value; $${ stands for a literal ${.
std::string expand(const Loading& loading, const std::string& text, const Place& place) {
  std::string made;
  std::size_t done = 0;
  for (std::size_t open; (open = text.find("${", done)) != std::string::npos;) {
    if (open > done && text[open - 1] == '$') {
      made += text.substr(done, open - done - 1) + "${";
      done = open + 2;
      continue;
    }
    const auto close = text.find('}', open);
    if (close == std::string::npos)
      throw Coded<Usage>("bad-setting", place.text() + ": ${ is not closed by }");
    const std::string name = text.substr(open + 2, close - open - 2);
    const auto found = loading.environment.find(name);
    if (found == loading.environment.end() && loading.purpose == Purpose::run)
      throw Coded<Usage>("variable-not-set",
                         fmt::format("{}: the variable {} is not set", place.text(), name),
                         "set it in the environment or in a file given with --env-file");
    made += text.substr(done, open - done) + (found == loading.environment.end() ? "" : found->second.value);
    done = close + 1;
  }
  return made + text.substr(done);
}

// Adds where it stands to a complaint about a URL that came from a file.
Endpoint endpoint_at(const std::string& where, const std::string& text) {
  try {
    return parse_endpoint(text);
  } catch (const Usage& failure) {
    const Told told = tidegate::told(failure);
    throw Coded<Usage>(told.code, where + ": " + told.message, told.mend);
  }
}

// url (or path), or host, port, user, password, dbname.
Endpoint read_endpoint(Section& section, const Loading& loading) {
  const auto url = section.text("url");
  const auto path = section.text("path");
  const auto kind = section.choice("kind", {"sqlite", "postgres"});
  Endpoint keys{Endpoint::Kind::postgres, "", "", "", "", "", "", {}};
  bool any_key = false;
  const std::pair<const char*, std::string*> fields[] = {
      {"host", &keys.host}, {"user", &keys.user}, {"password", &keys.password}, {"dbname", &keys.dbname}};
  for (const auto& [key, field] : fields)
    if (const auto value = section.text(key)) any_key = true, *field = *value;
  if (const auto port = section.count("port")) any_key = true, keys.port = fmt::format("{}", *port);
  if (url && path) section.refuse("path", "and url are both given", "keep one of them");
  if ((url || path) && any_key)
    section.refuse("url", "is given together with host, port, user, password or dbname", "keep one way");
  Endpoint end;
  if (url && !url->empty()) end = endpoint_at(section.where("url"), *url);
  if (path && !path->empty()) end = endpoint_at(section.where("path"), *path);
  if (any_key) end = keys;
  make_absolute(end, loading.file_folder);
  if (kind && end.kind != Endpoint::Kind::none && (*kind == 0) != (end.kind == Endpoint::Kind::sqlite))
    section.refuse("kind", "does not agree with the URL");
  return end;
}

std::string slot_word(Section& section, const char* key) {
  const auto name = section.text(key).value_or("");
  const bool fits = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!fits || name.size() > 63) section.refuse(key, "must be 1 to 63 of a-z, 0-9 and _");
  return name;
}

void read_postgres_source(Section& section, Loading& loading) {
  auto& postgres = loading.settings.source.postgres;
  if (const auto file = section.text("ca_file"); file && !file->empty())
    postgres.ca_file = absolute(*file, loading.file_folder);
  postgres.publication = slot_word(section, "publication");
  postgres.slot = slot_word(section, "slot");
  if (const auto folder = section.text("pg_bin"); folder && !folder->empty())
    postgres.pg_bin = absolute(*folder, loading.file_folder);
  postgres.jobs = section.count("jobs").value_or(postgres.jobs);
  postgres.snapshot_max_age = section.duration("snapshot_max_age").value_or(postgres.snapshot_max_age);
  postgres.schema_poll = section.duration("schema_poll").value_or(postgres.schema_poll);
  if (postgres.schema_poll < least_schema_poll)
    section.refuse("schema_poll", "is less than 100 ms", "the default is 5s");
  postgres.wal_room = section.size("wal_room").value_or(postgres.wal_room);
  postgres.spool_limit = section.size("spool_limit", "1 leaves all open transactions to the source's server")
                             .value_or(postgres.spool_limit);
  postgres.accept_unbounded_wal = section.boolean("accept_unbounded_wal").value_or(false);
  postgres.set_identity_full = section.boolean("set_identity_full").value_or(false);
}

void read_source(Section section, Loading& loading) {
  auto& source = loading.settings.source;
  source.end = read_endpoint(section, loading);
  if (const auto word = section.choice("writers", {"upgrades", "waits"}))
    source.writers = static_cast<Writers>(*word);
  if (const auto word = section.choice("on_schema_change", {"carry", "pause"}))
    source.on_schema_change = static_cast<OnSchemaChange>(*word);
  source.busy_timeout = section.duration("busy_timeout").value_or(source.busy_timeout);
  source.allow_wal = section.boolean("allow_wal").value_or(false);
  read_postgres_source(section, loading);
  section.finish();
}

void read_grant(Section& section, Loading& loading) {
  static const std::vector<std::string> known = {"SELECT",   "INSERT",     "UPDATE",  "DELETE",
                                                 "TRUNCATE", "REFERENCES", "TRIGGER", "ALL"};
  Grant grant{section.text("role").value_or(""),
              section.texts("privileges").value_or(std::vector<std::string>{})};
  section.finish();
  if (grant.role.empty()) section.refuse("role", "is missing");
  if (grant.privileges.empty())
    section.refuse("privileges", "is missing", "write it like privileges = [\"select\"]");
  for (auto& privilege : grant.privileges) {
    std::transform(privilege.begin(), privilege.end(), privilege.begin(),
                   [](unsigned char c) { return std::toupper(c); });
    if (std::find(known.begin(), known.end(), privilege) == known.end())
      section.refuse("privileges", "holds a word that is no privilege of a table",
                     "use select, insert, update, delete, truncate, references, trigger or all");
  }
  loading.settings.target.grants.push_back(std::move(grant));
}

std::vector<SqlFile> read_scripts(Section& section, const char* key, const Loading& loading) {
  std::vector<SqlFile> files;
  for (const auto& name : section.texts(key).value_or(std::vector<std::string>())) {
    const auto& file = files.emplace_back(SqlFile{name, absolute(name, loading.file_folder)});
    if (!std::filesystem::is_regular_file(file.path))
      section.refuse(key, "names " + name + ", which is not there",
                     "its place is taken from this file's folder");
  }
  return files;
}

std::vector<std::string> read_realtime(Section& section) {
  auto tables = section.texts("realtime").value_or(std::vector<std::string>());
  for (auto& table : tables) {
    const auto dot = table.find('.');
    if (table.empty() || dot == 0 || dot + 1 == table.size())
      section.refuse("realtime", "holds a name that is no table's", "write it like \"public.projects\"");
    if (dot == std::string::npos) table = "public." + table;
  }
  return tables;
}

void read_target(Section section, Loading& loading) {
  auto& target = loading.settings.target;
  target.end = read_endpoint(section, loading);
  if (const auto file = section.text("ca_file"); file && !file->empty())
    target.ca_file = absolute(*file, loading.file_folder);
  if (const auto word = section.choice("schema", {"create", "existing"}))
    target.schema = static_cast<TargetSchema>(*word);
  for (Section& grant : section.sections("grants")) read_grant(grant, loading);
  target.seeds = read_scripts(section, "seed", loading);
  target.post_sql = read_scripts(section, "post_sql", loading);
  target.realtime = read_realtime(section);
  section.finish();
}

void read_tables(Section section, Loading& loading) {
  auto& tables = loading.settings.tables;
  if (auto include = section.texts("include")) tables.include = std::move(*include);
  if (auto exclude = section.texts("exclude")) tables.exclude = std::move(*exclude);
  section.finish();
}

void read_rule(Section& section, Loading& loading) {
  const auto need = [&](const char* key) {
    const auto value = section.text(key);
    if (!value || value->empty())
      section.refuse(key, "is missing", "a [[rule]] has table, column, on and do");
    return *value;
  };
  const std::string table = need("table"), column = need("column"), on = need("on"), what = need("do");
  section.finish();
  const auto misfit = misfit_named(on);
  const auto remedy = remedy_named(what);
  if (!misfit)
    section.refuse("on", "is no kind of value that does not fit", "`tidegate explain rules` lists them");
  if (!remedy) section.refuse("do", "is no remedy", "use null, strip, text, convert or quarantine");
  loading.settings.rules.push_back({table, column, *misfit, *remedy});
}

void read_check(Section& section, Loading& loading) {
  Check check{section.text("table").value_or(""), section.text("must").value_or("")};
  section.finish();
  if (check.table.empty()) section.refuse("table", "is missing");
  if (check.must.empty())
    section.refuse("must", "is missing", "write it like must = \"gender in ('Male', 'Female')\"");
  loading.settings.checks.push_back(std::move(check));
}

void read_apply(Section section, Loading& loading) {
  auto& apply = loading.settings.apply;
  apply.max_rows = section.count("max_rows").value_or(apply.max_rows);
  apply.max_bytes = section.size("max_bytes").value_or(apply.max_bytes);
  apply.max_delay = section.duration("max_delay").value_or(apply.max_delay);
  section.finish();
}

void read_log(Section section, Loading& loading) {
  auto& log = loading.settings.log;
  if (const auto word = section.choice("format", log_formats)) log.format = static_cast<LogFormat>(*word);
  if (const auto word = section.choice("level", log_levels)) log.level = static_cast<LogLevel>(*word);
  if (const auto file = section.text("file"); file && !file->empty())
    log.file = absolute(*file, loading.file_folder);
  section.finish();
}

void read_pipeline(Section section, Loading& loading) {
  if (auto name = section.text("name")) {
    if (!is_pipeline_name(*name)) section.refuse("name", "must be 1 to 63 of a-z, 0-9, _ and -");
    loading.settings.pipeline = *name;
  }
  if (auto state = section.text("state_dir"); state && !state->empty())
    loading.settings.state_dir = absolute(*state, loading.file_folder);
  section.finish();
}

void read_file(Loading& loading, const Table& table) {
  Reading reading{[&](const std::string& text, const Place& place) { return expand(loading, text, place); },
                  loading.settings.origins};
  Section root(table, "", reading);
  if (auto section = root.section("pipeline")) read_pipeline(*section, loading);
  if (auto section = root.section("source")) read_source(*section, loading);
  if (auto section = root.section("target")) read_target(*section, loading);
  if (auto section = root.section("tables")) read_tables(*section, loading);
  for (Section& rule : root.sections("rule")) read_rule(rule, loading);
  for (Section& check : root.sections("check")) read_check(check, loading);
  for (Section& map : root.sections("map"))
    loading.settings.maps.push_back(read_map(map, loading.settings.auth_presets));
  expand_again_where_several(loading.settings.maps, loading.settings.auth_presets);
  if (auto section = root.section("apply")) read_apply(*section, loading);
  if (auto section = root.section("journal")) {
    auto& retention = loading.settings.journal.retention;
    retention = section->duration("retention").value_or(retention);
    section->finish();
  }
  if (auto section = root.section("log")) read_log(*section, loading);
  if (auto section = root.section("cutover")) read_cutover(*section, loading.settings.cutover);
  if (auto section = root.section("hooks")) read_hooks(*section, loading.file_folder, loading.settings.hooks);
  root.finish();
}

void set_end(Loading& loading, Endpoint& end, const std::string& side,
             const std::optional<std::string>& flag) {
  const std::string variable_name = side == "source" ? "TIDEGATE_SOURCE_URL" : "TIDEGATE_TARGET_URL";
  const std::string setting = side + ".url";
  if (flag) {
    refuse_password("--" + side, *flag, variable_name);
    end = endpoint_at("--" + side, *flag);
    loading.note(setting, "flag --" + side);
  } else if (const Variable* variable = loading.variable(variable_name)) {
    end = endpoint_at(variable_name, variable->value);
    loading.note(setting, origin_of(variable_name, *variable));
  } else if (end.kind != Endpoint::Kind::none) {
    auto& origins = loading.settings.origins;  // host or path keys stand for the URL
    for (const char* key : {".path", ".host", ".dbname", ".user", ".port"})
      if (!origins.contains(setting) && origins.contains(side + key)) origins[setting] = origins[side + key];
    return;
  }
  make_absolute(end, loading.folder);
}

void set_state_dir(Loading& loading) {
  auto& settings = loading.settings;
  if (loading.flags.state) {
    settings.state_dir = absolute(*loading.flags.state, loading.folder);
    loading.note("pipeline.state_dir", "flag --state");
  } else if (const Variable* variable = loading.variable("TIDEGATE_STATE")) {
    settings.state_dir = absolute(variable->value, loading.folder);
    loading.note("pipeline.state_dir", origin_of("TIDEGATE_STATE", *variable));
  } else if (settings.state_dir.empty() && !settings.pipeline.empty()) {
    settings.state_dir = loading.folder / ".tidegate" / settings.pipeline;
  }
}

std::size_t word_of_flag(const std::string& flag, const std::string& word,
                         const std::vector<std::string>& words) {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  std::string list;
  for (const auto& known : words) list += (list.empty() ? "" : ", ") + known;
  throw Coded<Usage>("bad-flag", fmt::format("{} must be one of {}", flag, list));
}

void set_from_flags(Loading& loading) {
  auto& settings = loading.settings;
  const Flags& flags = loading.flags;
  if (flags.log_format)
    settings.log.format =
        static_cast<LogFormat>(word_of_flag("--log-format", *flags.log_format, log_formats)),
    loading.note("log.format", "flag --log-format");
  if (flags.log_level)
    settings.log.level = static_cast<LogLevel>(word_of_flag("--log-level", *flags.log_level, log_levels)),
    loading.note("log.level", "flag --log-level");
  if (flags.log_file)
    settings.log.file = absolute(*flags.log_file, loading.folder),
    loading.note("log.file", "flag --log-file");
  if (!flags.tables.empty())
    settings.tables.include = flags.tables, loading.note("tables.include", "flag --tables");
  if (flags.allow_wal) settings.source.allow_wal = true, loading.note("source.allow_wal", "flag --allow-wal");
  if (flags.jobs) settings.source.postgres.jobs = *flags.jobs, loading.note("source.jobs", "flag --jobs");
  if (flags.allow_identity_full)
    settings.source.postgres.set_identity_full = true,
    loading.note("source.set_identity_full", "flag --allow-identity-full");
  if (flags.no_backup) settings.no_backup = true, loading.note("no_backup", "flag --no-backup");
  if (flags.adopt) settings.adopt = true, loading.note("adopt", "flag --adopt");
}

// What a replication needs, and what can only be said once both ends are known.
void check_ends(const Settings& settings) {
  if (settings.source.end.kind == Endpoint::Kind::none)
    throw Coded<Usage>("no-source", "no source is named",
                       "give --source /path/app.db, set TIDEGATE_SOURCE_URL, or write [source] url in "
                       "tidegate.toml (`tidegate init` makes one)");
  if (settings.target.end.kind == Endpoint::Kind::none)
    throw Coded<Usage>("no-target", "no target is named",
                       "set TIDEGATE_TARGET_URL, write [target] url in tidegate.toml, or give --target "
                       "postgresql://user@host/dbname");
  if (settings.target.end.kind == Endpoint::Kind::sqlite)
    throw Coded<Usage>("target-not-postgres", "the target must be a Postgres URL, not a file",
                       "write postgresql://user@host:port/dbname");
  refuse_transaction_pooler(settings.source.end);
  refuse_transaction_pooler(settings.target.end);
}

// Of a file its first line, as a password manager or `openssl rand -hex 32` writes it.
std::string credentials_secret(const Loading& loading) {
  if (const Variable* variable = loading.variable("TIDEGATE_CREDENTIALS_SECRET")) return variable->value;
  const Variable* file = loading.variable("TIDEGATE_CREDENTIALS_SECRET_FILE");
  if (!file) return "";
  const std::string text =
      read_small_file(absolute(file->value, loading.folder), "the file of TIDEGATE_CREDENTIALS_SECRET_FILE");
  return text.substr(0, text.find_first_of("\r\n"));
}

void check_credentials(const Settings& settings) {
  if (!needs_credentials_secret(settings.maps) || !settings.credentials_secret.empty()) return;
  throw Coded<Usage>("no-credentials-secret",
                     "the mapping makes temporary passwords, and there is no secret to make them from",
                     "set TIDEGATE_CREDENTIALS_SECRET, or TIDEGATE_CREDENTIALS_SECRET_FILE (openssl rand "
                     "-hex 32 makes one)");
}

void finish(Loading& loading) {
  auto& settings = loading.settings;
  settings.credentials_secret = credentials_secret(loading);
  set_end(loading, settings.source.end, "source", loading.flags.source);
  set_end(loading, settings.target.end, "target", loading.flags.target);
  if (settings.pipeline.empty() && settings.source.end.kind != Endpoint::Kind::none)
    settings.pipeline = default_pipeline_name(settings.source.end);
  set_state_dir(loading);
  set_from_flags(loading);
  if (loading.purpose == Purpose::run) check_ends(settings), check_credentials(settings);
}

// --config or TIDEGATE_CONFIG must exist; tidegate.toml need not.
fs::path config_file(const Flags& flags, const Environment& environment, const fs::path& folder) {
  if (flags.config) return *flags.config;
  if (const auto found = environment.find("TIDEGATE_CONFIG");
      found != environment.end() && !found->second.value.empty())
    return found->second.value;
  return fs::exists(folder / "tidegate.toml") ? "tidegate.toml" : "";
}

}  // namespace

bool is_pipeline_name(const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return plain && !name.empty() && name.size() <= 63;
}

Settings settings_from(const Flags& flags, const Environment& environment, const fs::path& folder,
                       Purpose purpose, const std::string& text, const std::string& file_name) {
  Loading loading{flags, environment, folder, (folder / file_name).parent_path(), purpose, {}};
  loading.settings.file = file_name;
  read_file(loading, parse_toml(text, file_name));
  finish(loading);
  return std::move(loading.settings);
}

Settings load(const Flags& flags, Environment environment, const fs::path& folder, Purpose purpose) {
  if (flags.env_file) add_env_file(environment, absolute(*flags.env_file, folder));
  const fs::path file = config_file(flags, environment, folder);
  const std::string text = file.empty() ? "" : read_small_file(folder / file, "configuration file");
  return settings_from(flags, environment, folder, purpose, text, file.string());
}

}  // namespace tidegate
