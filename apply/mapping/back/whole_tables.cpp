#include "apply/mapping/back/whole_tables.hpp"

#include <algorithm>

namespace tidegate {
namespace {

using Kind = ReturnSource::Kind;

// Is `key` given out by rows of that table?
bool owns(const ReturnedTable& table, const ColumnKey& key) {
  const auto& entity = table.plan.entity;
  return entity && !table.plan.contributes && entity->scope == key.scope && entity->words == key.words;
}

bool refers_to(const ReturnedTable& table, const ReturnedTable& other) {
  if (table.plan.contributes && !other.plan.contributes) return true;
  return std::any_of(table.plan.columns.begin(), table.plan.columns.end(), [&](const ReturnSource& source) {
    return source.kind == Kind::key && owns(other, *source.key);
  });
}

// The first that refers to none of the others; in a circle the first of all.
std::vector<const ReturnedTable*> in_order(std::vector<const ReturnedTable*> tables) {
  std::vector<const ReturnedTable*> ordered;
  while (!tables.empty()) {
    auto next = std::find_if(tables.begin(), tables.end(), [&](const ReturnedTable* table) {
      return std::none_of(tables.begin(), tables.end(), [&](const ReturnedTable* other) {
        return other != table && refers_to(*table, *other);
      });
    });
    if (next == tables.end()) next = tables.begin();
    ordered.push_back(*next);
    tables.erase(next);
  }
  return ordered;
}

void add(std::vector<WholeTable>& all, const ReturnedTable& table, std::size_t output) {
  const MapTarget& target = table.target_of(output);
  const std::string name = target.schema + "." + target.table;
  auto known = std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.name == name; });
  if (known == all.end()) known = all.insert(known, {name, quoted_name(table.plans[output]), {}});
  for (const std::string& column : table.plan.outputs[output].made_key)
    if (std::find(known->columns.begin(), known->columns.end(), column) == known->columns.end())
      known->columns.push_back(column);
}

}  // namespace

std::vector<WholeTable> whole_tables(const std::vector<const ReturnedTable*>& tables) {
  std::vector<WholeTable> all;
  const auto ordered = in_order(tables);
  for (const ReturnedTable* table : ordered) add(all, *table, table->plan.anchor);
  for (const ReturnedTable* table : ordered) {
    for (std::size_t i = 0; i < table->plan.outputs.size(); ++i) {
      const ReturnOutput& output = table->plan.outputs[i];
      if (output.is_shared && output.is_part && output.constants.empty()) add(all, *table, i);
    }
  }
  return all;
}

}  // namespace tidegate
