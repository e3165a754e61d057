#include "replicator/auth/credentials.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "apply/mapping/functions/password_hash.hpp"
#include "apply/mapping/mapped_row.hpp"
#include "apply/mapping/mapping.hpp"
#include "apply/mapping/refusals.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/source_scan.hpp"

namespace tidegate {
namespace {

enum Place : std::size_t {
  at_key,
  at_key_type,
  at_id,
  at_email,
  at_kind,
  at_hash
};  // as credentials_of() has them

std::string text(const Value& value) {
  const auto* found = std::get_if<std::string>(&value);
  return found ? *found : "";
}

// As temporary_password() was given it: of a Postgres source, what comes out of a mapping is text.
Value key_from(const Row& answers) {
  const bool printed =
      text(answers[at_key_type]) == "integer" && std::holds_alternative<std::string>(answers[at_key]);
  if (!printed) return answers[at_key];
  return static_cast<std::int64_t>(std::stoll(text(answers[at_key])));
}

Credential credential_from(const AuthPreset& preset, const Row& answers) {
  const std::string kind = text(answers[at_kind]);
  Row key(preset.among.begin(), preset.among.end());
  key.push_back(key_from(answers));
  return {std::move(key), text(answers[at_id]), text(answers[at_email]), kind, text(answers[at_hash])};
}

const SourceTable& table_of(const MapDefinition& map, const std::vector<SourceTable>& tables) {
  const auto found = std::find_if(tables.begin(), tables.end(),
                                  [&](const SourceTable& table) { return table.name == map.from; });
  if (found == tables.end()) throw no_such_table(map);
  return *found;
}

Finding counted(const AuthPreset& preset, const std::string& kind, std::uint64_t users) {
  return {Finding::Level::warn,
          "passwords-not-carried",
          preset.from,
          "",
          fmt::format("{} of table {} with a password of kind {}, which Supabase Auth cannot check: {}",
                      users == 1 ? "1 user" : fmt::format("{} users", users), preset.from, kind,
                      preset.temporary_passwords ? "a temporary password is stored" : "a reset is needed"),
          "after the load, `tidegate credentials export --out FILE` lists them"};
}

}  // namespace

void each_credential(const Settings& settings, const AuthPreset& preset,
                     const std::vector<SourceTable>& tables,
                     const std::function<void(const Credential&)>& give) {
  const std::vector<MapDefinition> asked = {credentials_of(preset)};
  const SourceTable& table = table_of(asked[0], tables);
  const auto options = mapping_options(settings, nullptr);
  const Relation relation = relation_of(table, options.printed);
  MappedTable mapped(outputs_of(asked, table.name), table, relation, options, 0);
  std::vector<std::optional<Row>> rows;
  each_source_row(settings, relation, all_rows, [&](const Row& row) {
    mapped.map_row(row, rows);
    if (rows[0] && !misfit_of(mapped.relation(0), *rows[0])) give(credential_from(preset, *rows[0]));
  });
}

bool is_carried(const Credential& credential) {
  const auto kind = password_kind_named(credential.kind);
  return kind && is_carried_over(*kind);
}

std::vector<Finding> credential_findings(const Settings& settings, const std::vector<SourceTable>& tables) {
  std::vector<Finding> findings;
  for (const AuthPreset& preset : presets_of(settings)) {
    std::map<std::string, std::uint64_t> kinds;
    each_credential(settings, preset, tables, [&](const Credential& credential) {
      if (!is_carried(credential)) ++kinds[credential.kind];
    });
    for (const auto& [kind, users] : kinds) findings.push_back(counted(preset, kind, users));
  }
  return findings;
}

}  // namespace tidegate
