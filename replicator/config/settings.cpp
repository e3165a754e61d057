#include "replicator/config/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "capture/sqlite/catalog.hpp"
#include "replicator/config/units.hpp"
#include "replicator/failure.hpp"

namespace tidegate {

namespace {

std::string quoted_toml(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string list_toml(const std::vector<std::string>& items) {
  std::vector<std::string> quoted;
  for (const auto& item : items) quoted.push_back(quoted_toml(item));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

std::string level_name(LogLevel level) {
  constexpr const char* names[] = {"debug", "info", "warn", "error"};
  return names[static_cast<int>(level)];
}

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view name) {
  return capture::matches_glob(pattern, name);
}

bool chosen(const TableChoice& choice, std::string_view table) {
  const auto any = [&](const std::vector<std::string>& patterns) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const auto& p) { return matches_pattern(p, table); });
  };
  return any(choice.include) && !any(choice.exclude);
}

namespace {

std::string own_name(const std::string& pipeline) {
  std::string name = "tidegate_" + pipeline;
  std::replace(name.begin(), name.end(), '-', '_');
  return name.substr(0, 63);
}

std::string columns_toml(const MapTarget& target) {
  std::string columns;
  for (const auto& column : target.columns)
    columns += fmt::format("{}{} = {}", columns.empty() ? "" : ", ", column.target,
                           quoted_toml(column.expression.text));
  return columns;
}

template <typename Add>
void add_postgres_source(const Settings& s, const Add& add) {
  const PostgresSourceSettings& postgres = s.source.postgres;
  add("source.ca_file", quoted_toml(postgres.ca_file));
  add("source.publication", quoted_toml(publication_name(s)));
  add("source.slot", quoted_toml(slot_name(s)));
  add("source.pg_bin", quoted_toml(postgres.pg_bin));
  add("source.jobs", fmt::format("{}", postgres.jobs));
  add("source.snapshot_max_age", quoted_toml(exact_duration(postgres.snapshot_max_age)));
  add("source.schema_poll", quoted_toml(exact_duration(postgres.schema_poll)));
  add("source.wal_room", quoted_toml(exact_size(postgres.wal_room)));
  add("source.spool_limit", quoted_toml(exact_size(postgres.spool_limit)));
  add("source.accept_unbounded_wal", postgres.accept_unbounded_wal ? "true" : "false");
  add("source.set_identity_full", postgres.set_identity_full ? "true" : "false");
}

}  // namespace

std::string publication_name(const Settings& settings) {
  const std::string& given = settings.source.postgres.publication;
  return given.empty() ? own_name(settings.pipeline) : given;
}

std::string slot_name(const Settings& settings) {
  const std::string& given = settings.source.postgres.slot;
  return given.empty() ? own_name(settings.pipeline) : given;
}

namespace {

void show_maps(const Settings& s, std::vector<Shown>& lines) {
  for (const auto& map : s.maps) {
    for (const auto& target : map.to) {
      lines.push_back({"map",
                       fmt::format("{{ from = {}, table = {}, columns = {{ {} }} }}", quoted_toml(map.from),
                                   quoted_toml(target.schema + "." + target.table), columns_toml(target)),
                       target.where});
    }
    for (const auto& back : map.reverse)
      lines.push_back({"map.reverse", fmt::format("{} = {}", back.target, quoted_toml(back.expression.text)),
                       back.expression.where});
  }
}

}  // namespace

std::vector<Shown> show(const Settings& s) {
  std::vector<Shown> lines;
  const auto add = [&](const std::string& name, std::string value) {
    const auto origin = s.origins.find(name);
    lines.push_back({name, std::move(value), origin == s.origins.end() ? "default" : origin->second});
  };
  add("pipeline.name", quoted_toml(s.pipeline));
  add("pipeline.state_dir", quoted_toml(s.state_dir.string()));
  add("source.url", quoted_toml(masked(s.source.end)));
  add("source.writers", s.source.writers == Writers::waits ? "\"waits\"" : "\"upgrades\"");
  add("source.on_schema_change",
      s.source.on_schema_change == OnSchemaChange::carry ? "\"carry\"" : "\"pause\"");
  if (s.source.end.kind == Endpoint::Kind::sqlite)
    add("source.busy_timeout", quoted_toml(exact_duration(s.source.busy_timeout)));
  add("source.allow_wal", s.source.allow_wal ? "true" : "false");
  if (s.source.end.kind == Endpoint::Kind::postgres) add_postgres_source(s, add);
  add("target.url", quoted_toml(masked(s.target.end)));
  add("target.ca_file", quoted_toml(s.target.ca_file));
  add("target.schema", s.target.schema == TargetSchema::create ? "\"create\"" : "\"existing\"");
  for (const auto& seed : s.target.seeds) add("target.seed", quoted_toml(seed.name));
  for (const auto& file : s.target.post_sql) add("target.post_sql", quoted_toml(file.name));
  if (!s.target.realtime.empty()) add("target.realtime", list_toml(s.target.realtime));
  for (const auto& grant : s.target.grants)
    add("target.grants", fmt::format("{{ role = {}, privileges = {} }}", quoted_toml(grant.role),
                                     list_toml(grant.privileges)));
  add("tables.include", list_toml(s.tables.include));
  add("tables.exclude", list_toml(s.tables.exclude));
  for (const auto& rule : s.rules)
    add("rule",
        fmt::format("{{ table = {}, column = {}, on = \"{}\", do = \"{}\" }}", quoted_toml(rule.table),
                    quoted_toml(rule.column), name_of(rule.on), name_of(rule.remedy)));
  show_maps(s, lines);
  add("apply.max_rows", fmt::format("{}", s.apply.max_rows));
  add("apply.max_bytes", quoted_toml(exact_size(s.apply.max_bytes)));
  add("apply.max_delay", quoted_toml(exact_duration(s.apply.max_delay)));
  add("journal.retention", quoted_toml(exact_duration(s.journal.retention)));
  add("cutover.max_hold", quoted_toml(exact_duration(s.cutover.max_hold)));
  add("cutover.max_lag", quoted_toml(exact_duration(s.cutover.max_lag)));
  add("cutover.calm", quoted_toml(exact_duration(s.cutover.calm)));
  add("cutover.timeout", quoted_toml(exact_duration(s.cutover.timeout)));
  add("cutover.backup_max_age", quoted_toml(exact_duration(s.cutover.backup_max_age)));
  add("cutover.attempts", fmt::format("{}", s.cutover.attempts));
  add("hooks.dir", quoted_toml(s.hooks.dir.string()));
  add("hooks.timeout", quoted_toml(exact_duration(s.hooks.timeout)));
  for (const auto& [event, time] : s.hooks.timeouts)
    add("hooks.timeouts." + event, quoted_toml(exact_duration(time)));
  for (const auto& [event, policy] : s.hooks.policies)
    add("hooks.policies." + event, policy == HookPolicy::fail    ? "\"fail\""
                                   : policy == HookPolicy::retry ? "\"retry\""
                                                                 : "\"warn\"");
  add("log.format", s.log.format == LogFormat::json ? "\"json\"" : "\"text\"");
  add("log.level", quoted_toml(level_name(s.log.level)));
  add("log.file", quoted_toml(s.log.file));
  add("no_backup", s.no_backup ? "true" : "false");
  add("adopt", s.adopt ? "true" : "false");
  return lines;
}

}  // namespace tidegate
