#include "apply/mapping/back/returned_table.hpp"

#include <algorithm>

namespace tidegate {

std::size_t ReturnedTable::place_in(std::size_t output, const std::string& column) const {
  const auto& columns = target_of(output).columns;
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [&](const MapColumn& each) { return each.target == column; });
  return static_cast<std::size_t>(found - columns.begin());
}

std::vector<std::size_t> writable_columns(const SourceTable& table) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    if (!table.columns[i].generated_sql) places.push_back(i);
  return places;
}

std::vector<std::size_t> key_places(const SourceTable& table) {
  const auto writable = writable_columns(table);
  std::vector<std::size_t> places;
  for (const std::string& name : table.primary_key)
    for (std::size_t i = 0; i < writable.size(); ++i)
      if (table.columns[writable[i]].name == name) places.push_back(i);
  return places;
}

}  // namespace tidegate
