#include "replicator/pipeline/mapping_setup.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/mapping/back/return_plan.hpp"
#include "apply/mapping/functions/functions.hpp"
#include "apply/mapping/key_form.hpp"
#include "apply/mapping/keys/key_calls.hpp"
#include "apply/mapping/keys/key_functions.hpp"
#include "apply/mapping/keys/remembered_keys.hpp"
#include "apply/mapping/mapped_plan.hpp"
#include "apply/mapping/owners.hpp"
#include "apply/mapping/refusals.hpp"
#include "db/error.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

Finding unread_columns(const std::string& table, const std::vector<std::string>& columns) {
  return {Finding::Level::warn,
          "map-column-not-read",
          table,
          "",
          fmt::format("no map reads {} of table {}: {} not carried over", fmt::join(columns, ", "), table,
                      columns.size() == 1 ? "it is" : "they are"),
          "map them, or leave them behind"};
}

// A Postgres source says of an old row only what identifies it.
void check_key(const MappedTable& compiled, std::size_t output, const SourceTable& table) {
  const MapDefinition& map = *compiled.output(output).map;
  if (table.primary_key.empty()) throw no_source_key(map);
  if (auto where = compiled.moving_key(output); !where.empty()) throw key_reads_more(where, map);
}

const FilledTable* table_named(const std::vector<FilledTable>& tables, const std::string& name) {
  auto found = std::find_if(tables.begin(), tables.end(),
                            [&](const FilledTable& table) { return table.source.name == name; });
  return found == tables.end() ? nullptr : &*found;
}

std::string full_name(const Settings& settings, const std::string& table) {
  const bool has_schemas = settings.source.end.kind == Endpoint::Kind::postgres;
  return has_schemas && table.find('.') == std::string::npos ? "public." + table : table;
}

}  // namespace

std::vector<MapDefinition> maps_of(const Settings& settings) {
  auto maps = settings.maps;
  for (auto& map : maps) map.from = full_name(settings, map.from);
  tell_owners_apart(maps, settings.pipeline);
  return maps;
}

std::vector<AuthPreset> presets_of(const Settings& settings) {
  auto presets = settings.auth_presets;
  for (auto& preset : presets) preset.from = full_name(settings, preset.from);
  return presets;
}

std::optional<TemporaryPasswords> temporary_passwords(const Settings& settings) {
  if (settings.credentials_secret.empty()) return std::nullopt;
  return TemporaryPasswords(settings.credentials_secret, settings.pipeline);
}

std::string mapping_text(const Settings& settings) {
  const auto maps = maps_of(settings);
  std::string text = text_of(maps);
  if (needs_credentials_secret(maps) && !settings.credentials_secret.empty())
    text += "\n" + temporary_passwords(settings)->fingerprint();
  return text;
}

MappingOptions mapping_options(const Settings& settings, std::shared_ptr<KeyAnswers> memory) {
  MappingOptions options;
  options.printed = settings.source.end.kind == Endpoint::Kind::postgres;
  options.memory = memory;
  options.functions = [pipeline = settings.pipeline, memory, remembered = remembered_uuids(maps_of(settings)),
                       functions =
                           FunctionSettings{temporary_passwords(settings)}](sqlite::Database& engine) {
    add_functions(engine, functions);
    register_key_functions(engine, UuidMaker(pipeline), memory, remembered);
  };
  return options;
}

namespace {

// The column's own sequence, so that nobody else is given the number.
class SequenceDraw {
 public:
  SequenceDraw(postgres::ConnectOptions options, std::map<std::string, KeyColumn> columns)
      : options_(std::move(options)), columns_(std::move(columns)) {}

  std::vector<std::int64_t> operator()(const std::string& entity, int count) {
    auto column = columns_.find(entity);
    if (column == columns_.end())
      throw Error("no key column is filled by surrogate() of " + entity, "", Advice::stop);
    if (!connection_ || !connection_->usable())
      connection_ = std::make_shared<postgres::Connection>(options_);
    const auto& [schema, table, name] = column->second;
    auto rows = connection_->run(
        "SELECT pg_catalog.nextval(pg_catalog.pg_get_serial_sequence($1, $2)::pg_catalog.regclass)"
        " FROM pg_catalog.generate_series(1, $3::int)",
        {tidegate::quoted(schema) + "." + tidegate::quoted(table), name, std::to_string(count)});
    std::vector<std::int64_t> drawn;
    for (int i = 0; i < rows.rows(); ++i) drawn.push_back(rows.integer(i, 0));
    return drawn;
  }

 private:
  postgres::ConnectOptions options_;
  std::map<std::string, KeyColumn> columns_;
  std::shared_ptr<postgres::Connection> connection_;
};

}  // namespace

std::shared_ptr<KeyMemory> make_key_memory(const Settings& settings, const std::string& path) {
  auto maps = maps_of(settings);
  if (maps.empty()) return nullptr;
  return std::make_shared<KeyMemory>(
      settings.pipeline, KeyStore(open_state(path)),
      SequenceDraw(connect_options(settings, "tidegate keys " + settings.pipeline), surrogate_columns(maps)));
}

std::shared_ptr<KeyAnswers> remembered_keys(const Settings& settings) {
  if (settings.maps.empty()) return nullptr;
  return std::make_shared<RememberedKeys>(open_state((settings.state_dir / "keys.db").string()));
}

Relation relation_of(const SourceTable& table, bool published) {
  Relation relation{0, table.name, {}, {}};
  const bool by_rowid = table.identity == Identity::rowid;
  if (by_rowid) relation.columns.emplace_back(kRidSource);
  for (const auto& column : table.columns) {
    if (!published || !column.generated_sql) relation.columns.push_back(column.name);
  }
  if (by_rowid) relation.key.push_back(0);
  if (by_rowid) return relation;
  for (const auto& name : table.primary_key) {
    auto place = std::find(relation.columns.begin(), relation.columns.end(), name);
    relation.key.push_back(static_cast<std::uint32_t>(place - relation.columns.begin()));
  }
  return relation;
}

void check_keys(const MappedTable& compiled, const SourceTable& table) {
  for (std::size_t i = 0; i < compiled.size(); ++i) check_key(compiled, i, table);
}

bool is_mapped(const std::vector<MapDefinition>& maps, const std::string& table) {
  return std::any_of(maps.begin(), maps.end(), [&](const MapDefinition& map) { return map.from == table; });
}

MapOutput output_named(const std::vector<MapDefinition>& maps, const TablePlan& plan) {
  for (auto& output : outputs_of(maps, plan.from))
    if (output.name == plan.source) return output;
  throw Error("the mapping has no " + plan.source, "", Advice::stop);
}

void plan_maps(PlannedPipeline& planned, const std::vector<FilledTable>& mapped, const Settings& settings) {
  const auto maps = maps_of(settings);
  for (const auto& map : maps) {
    if (!table_named(mapped, map.from)) throw no_such_table(map);
  }
  check_owners(maps);
  std::vector<SourceTable> sources;
  for (const FilledTable& table : mapped) sources.push_back(table.source);
  plan_returns(maps, sources,
               [](const MapTarget&) { return true; });  // refuses what [map.reverse] cannot mean
  const auto options = mapping_options(settings, nullptr);
  for (const FilledTable& table : mapped) {
    MappedTable compiled(outputs_of(maps, table.source.name), table.source,
                         relation_of(table.source, options.printed), options, 0);
    if (options.printed) check_keys(compiled, table.source);
    for (std::size_t i = 0; i < compiled.size(); ++i) {
      const MapOutput& output = compiled.output(i);
      if (!output.target->contributor && !tells_rows_apart(*output.target, table.source))
        throw key_may_be_shared(*output.target, *output.map);
      planned.tables.push_back(table.source);
      planned.measures.push_back(table.measure);
      planned.plans.push_back(mapped_plan(compiled.output(i), options.printed));
    }
    if (auto unread = compiled.unread(); !unread.empty())
      planned.findings.push_back(unread_columns(table.source.name, unread));
  }
}

}  // namespace tidegate
