#include "replicator/pipeline/mapping_setup.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/mapping/mapped_plan.hpp"
#include "apply/mapping/owners.hpp"
#include "apply/mapping/refusals.hpp"
#include "apply/mapping/uuid.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

bool has_null(std::span<const Value> values) {
  return std::any_of(values.begin(), values.end(), [](const Value& value) { return is_null(value); });
}

// A key that is NULL has no UUID: a row without a parent stays without one.
void register_uuid(sqlite::Database& engine, const std::string& pipeline) {
  engine.create_function("uuid", sqlite::Database::any_number,
                         [maker = UuidMaker(pipeline)](std::span<const Value> arguments) -> Value {
                           if (arguments.size() < 2)
                             throw std::invalid_argument("uuid() takes an entity and a key");
                           if (has_null(arguments)) return Null{};
                           return maker.make(Row(arguments.begin(), arguments.end()));
                         });
}

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

}  // namespace

std::vector<MapDefinition> maps_of(const Settings& settings) {
  auto maps = settings.maps;
  const bool has_schemas = settings.source.end.kind == Endpoint::Kind::postgres;
  for (auto& map : maps) {
    if (has_schemas && map.from.find('.') == std::string::npos) map.from = "public." + map.from;
  }
  return maps;
}

MappingOptions mapping_options(const Settings& settings) {
  MappingOptions options;
  options.printed = settings.source.end.kind == Endpoint::Kind::postgres;
  options.functions = [pipeline = settings.pipeline](sqlite::Database& engine) {
    register_uuid(engine, pipeline);
  };
  return options;
}

Relation relation_of(const SourceTable& table) {
  Relation relation{0, table.name, {}, {}};
  const bool by_rowid = table.identity == Identity::rowid;
  if (by_rowid) relation.columns.emplace_back(kRidSource);
  for (const auto& column : table.columns) relation.columns.push_back(column.name);
  if (by_rowid) relation.key.push_back(0);
  if (by_rowid) return relation;
  for (const auto& name : table.primary_key) {
    auto place = std::find(relation.columns.begin(), relation.columns.end(), name);
    relation.key.push_back(static_cast<std::uint32_t>(place - relation.columns.begin()));
  }
  return relation;
}

bool is_mapped(const std::vector<MapDefinition>& maps, const std::string& table) {
  return std::any_of(maps.begin(), maps.end(), [&](const MapDefinition& map) { return map.from == table; });
}

void plan_maps(PlannedPipeline& planned, const std::vector<FilledTable>& mapped, const Settings& settings) {
  const auto maps = maps_of(settings);
  for (const auto& map : maps) {
    if (!table_named(mapped, map.from)) throw no_such_table(map);
  }
  check_owners(maps);
  const auto options = mapping_options(settings);
  for (const FilledTable& table : mapped) {
    MappedTable compiled(outputs_of(maps, table.source.name), table.source, relation_of(table.source),
                         options, 0);
    for (std::size_t i = 0; i < compiled.size(); ++i) {
      if (options.printed) check_key(compiled, i, table.source);
      planned.tables.push_back(table.source);
      planned.measures.push_back(table.measure);
      planned.plans.push_back(mapped_plan(compiled.output(i), options.printed));
    }
    if (auto unread = compiled.unread(); !unread.empty())
      planned.findings.push_back(unread_columns(table.source.name, unread));
  }
}

}  // namespace tidegate
