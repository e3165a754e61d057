#include "replicator/pipeline/mapped_standing.hpp"

#include <algorithm>
#include <map>

#include "apply/mapping/expression_check.hpp"
#include "replicator/pipeline/mapping_setup.hpp"

namespace tidegate {
namespace {

using capture::PostgresColumn;
using capture::PostgresTable;

using Reads = std::map<std::string, std::string>;  // from column to the first place in the file that reads it

void note(const PlacedText& text, const std::vector<std::string>& columns, Reads& reads) {
  for (auto place : columns_read(text.text, columns)) reads.try_emplace(columns[place], text.where);
}

Reads reads_of(const std::vector<MapDefinition>& maps, const std::string& table,
               const std::vector<std::string>& columns) {
  Reads reads;
  for (const auto& map : maps) {
    if (map.from != table) continue;
    if (map.condition) note(*map.condition, columns, reads);
    for (const auto& target : map.to) {
      if (target.condition) note(*target.condition, columns, reads);
      for (const auto& column : target.columns) note(column.expression, columns, reads);
    }
  }
  return reads;
}

std::vector<std::string> names_of(const PostgresTable& table) {
  std::vector<std::string> names;
  for (const auto& column : table.columns) names.push_back(column.name);
  return names;
}

bool is_in(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The table without the columns that nothing reads.
PostgresTable as_read(const PostgresTable& table, const Reads& reads) {
  if (table.replica_identity == capture::ReplicaIdentity::full) return table;  // all of them name the row
  PostgresTable read = table;
  std::erase_if(read.columns, [&](const PostgresColumn& column) {
    return !reads.contains(column.name) && !is_in(table.identity, column.name);
  });
  std::string version;
  for (const auto& column : read.columns) version += column.name + ' ' + column.version + ' ';
  for (auto& file : read.files) file.columns_version = version;
  return read;
}

bool same_column(const PostgresColumn& known, const PostgresColumn& now) {
  return known.number == now.number && known.type == now.type && known.version == now.version &&
         known.generated == now.generated;
}

std::string where_read(const PostgresTable& known, const PostgresTable& now, const Reads& reads) {
  for (const auto& column : known.columns) {
    auto there = std::find_if(now.columns.begin(), now.columns.end(),
                              [&](const auto& each) { return each.name == column.name; });
    auto read = reads.find(column.name);
    if (read == reads.end() || (there != now.columns.end() && same_column(column, *there))) continue;
    return " (" + read->second + " reads column " + column.name + ")";
  }
  return "";
}

}  // namespace

Standing standing(const std::vector<MapDefinition>& maps, const PostgresTable& known,
                  const PostgresTable* now) {
  if (!now || !is_mapped(maps, known.source)) return standing(known, now);
  const Reads reads = reads_of(maps, known.source, names_of(known));
  const PostgresTable before = as_read(known, reads), after = as_read(*now, reads);
  Standing found = standing(before, &after);
  if (found.kind == Standing::Kind::doubt) found.why += where_read(before, after, reads);
  return found;
}

bool maps_read_the_same(const std::vector<MapDefinition>& maps, const RelationChanged& change) {
  const RelationShape &before = change.before, &now = change.now;
  if (before.oid != now.oid || before.table != now.table || before.identity != now.identity) return false;
  std::vector<std::string> names;
  for (const auto& column : before.columns) names.push_back(column.name);
  const Reads reads = reads_of(maps, now.table, names);
  const auto is_there = [&](const pgoutput::RelationColumn& column) {
    return std::find(now.columns.begin(), now.columns.end(), column) != now.columns.end();
  };
  return std::all_of(before.columns.begin(), before.columns.end(), [&](const auto& column) {
    return is_there(column) || (!column.key && !reads.contains(column.name));
  });
}

}  // namespace tidegate
