#include "apply/mapping/mapping.hpp"

#include <algorithm>

namespace tidegate {

std::vector<MapOutput> outputs_of(const std::vector<MapDefinition>& maps, const std::string& table) {
  std::vector<MapOutput> outputs;
  for (const auto& map : maps) {
    if (map.from != table) continue;
    for (const auto& target : map.to) {
      const std::string name = table + " -> " + target.schema + "." + target.table;
      auto same = std::count_if(outputs.begin(), outputs.end(), [&](const MapOutput& output) {
        return output.target->schema == target.schema && output.target->table == target.table;
      });
      outputs.push_back({&map, &target, same == 0 ? name : name + " " + std::to_string(same + 1)});
    }
  }
  return outputs;
}

bool Mapping::maps(const std::string& table) const {
  return std::any_of(maps_.begin(), maps_.end(), [&](const MapDefinition& map) { return map.from == table; });
}

std::vector<std::string> Mapping::tables() const {
  std::vector<std::string> names;
  for (const auto& map : maps_) {
    if (std::find(names.begin(), names.end(), map.from) == names.end()) names.push_back(map.from);
  }
  return names;
}

MappedTable& Mapping::table(const Relation& relation) {
  auto& known = tables_[relation.table];
  if (known && known->source() == relation) return *known;
  auto outputs = outputs_of(maps_, relation.table);
  const auto count = static_cast<std::uint32_t>(outputs.size());
  const SourceTable described = describe_(relation.table).value_or(SourceTable{});
  known = std::make_unique<MappedTable>(std::move(outputs), described, relation, options_, next_id_);
  next_id_ += count;
  return *known;
}

std::unique_ptr<MappedTable> Mapping::compile(const SourceTable& described, const Relation& relation) const {
  return std::make_unique<MappedTable>(outputs_of(maps_, relation.table), described, relation, options_, 0);
}

}  // namespace tidegate
