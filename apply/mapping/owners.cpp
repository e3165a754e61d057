#include "apply/mapping/owners.hpp"

#include <algorithm>
#include <map>

#include "apply/mapping/refusals.hpp"

namespace tidegate {
namespace {

struct Owner {
  const MapDefinition* map;
  const MapTarget* target;
};

// Rows that their key's first words tell apart need no condition: owned_by_key() has made one of them.
void check_pair(const Owner& first, const Owner& second) {
  const bool told_apart =
      first.target->rows && second.target->rows && first.target->rows->text != second.target->rows->text;
  if (!told_apart) throw two_owners(*second.target, first.map->from);
}

}  // namespace

void check_owners(const std::vector<MapDefinition>& maps) {
  std::map<std::string, std::vector<Owner>> owners;
  std::vector<const MapTarget*> contributors;
  auto name_of = [](const MapTarget& target) { return target.schema + "." + target.table; };
  for (const auto& map : maps) {
    for (const auto& target : map.to) {
      if (target.contributor) {
        contributors.push_back(&target);
      } else {
        owners[name_of(target)].push_back({&map, &target});
      }
    }
  }
  for (const auto& [table, all] : owners) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) check_pair(all[j], all[i]);
    }
  }
  for (const auto* target : contributors) {
    if (!owners.contains(name_of(*target))) throw no_owner(*target);
  }
}

}  // namespace tidegate
