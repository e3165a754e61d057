#include "replicator/config/read_map.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/mapping/reverse_expressions.hpp"
#include "replicator/config/read_preset.hpp"

namespace tidegate {
namespace {

std::optional<PlacedText> placed_text(Section& section, const std::string& key) {
  auto placed = section.placed(key);
  if (!placed) return std::nullopt;
  return PlacedText{std::move(placed->text), std::move(placed->where)};
}

Section::Placed required(Section& section, const std::string& key, const std::string& mend) {
  auto placed = section.placed(key);
  if (!placed || placed->text.empty()) section.refuse(key, "is missing", mend);
  return *placed;
}

void read_role(Section& section, MapTarget& target) {
  target.contributor = section.choice("role", {"owner", "contributor"}) == std::size_t{1};
  target.rows = placed_text(section, "rows");
  target.born = placed_text(section, "born");
  for (const auto* key : {"rows", "born"})
    if (target.contributor && (std::string_view(key) == "rows" ? target.rows : target.born))
      section.refuse(key, "is of an owner", "a contributor has no rows of its own: leave it out");
}

MapTarget read_target_of_map(Section& section) {
  MapTarget target;
  const auto table = required(section, "table", "write it like table = \"public.profiles\"");
  const auto dot = table.text.find('.');
  target.schema = dot == std::string::npos ? "public" : table.text.substr(0, dot);
  target.table = dot == std::string::npos ? table.text : table.text.substr(dot + 1);
  target.where = table.where;
  const auto columns = section.table_of_texts("columns");
  if (!columns || columns->empty())
    section.refuse("columns", "is missing", "write it like columns = { id = \"uuid('user', id)\" }");
  for (const auto& column : *columns) target.columns.push_back({column.key, {column.text, column.where}});
  for (const auto& type : section.table_of_texts("types").value_or(std::vector<Section::Placed>{}))
    target.types.push_back({type.key, {type.text, type.where}});
  target.key = section.texts("key").value_or(std::vector<std::string>{"id"});
  if (target.key.empty())
    section.refuse("key", "names no column", "name the columns of the table's primary key");
  target.condition = placed_text(section, "where");
  read_role(section, target);
  section.finish();
  return target;
}

}  // namespace

MapDefinition read_map(Section& section, std::vector<AuthPreset>& presets) {
  MapDefinition map;
  const auto from = required(section, "from", "a [[map]] names the table that it reads: from = \"user\"");
  map.from = from.text;
  map.where = from.where;
  map.condition = placed_text(section, "where");
  if (auto preset = read_preset(section, map)) {
    map.to = expand(*preset);
    presets.push_back(std::move(*preset));
  }
  for (Section& target : section.sections("to")) map.to.push_back(read_target_of_map(target));
  if (map.to.empty()) section.refuse("to", "is missing", "a [[map]] has at least one [[map.to]]");
  for (const auto& back : section.table_of_texts("reverse").value_or(std::vector<Section::Placed>{}))
    map.reverse.push_back({back.key, {back.text, back.where}});
  section.finish();
  check_reverse(map);
  return map;
}

void expand_again_where_several(std::vector<MapDefinition>& maps, std::vector<AuthPreset>& presets) {
  if (presets.size() < 2) return;
  tell_presets_apart(presets);
  for (const auto& preset : presets) {
    const auto map = std::find_if(maps.begin(), maps.end(), [&](const MapDefinition& each) {
      return each.to.front().where == preset.where;
    });
    if (map == maps.end()) continue;
    auto made = expand(preset);
    std::move(made.begin(), made.end(), map->to.begin());
  }
}

}  // namespace tidegate
