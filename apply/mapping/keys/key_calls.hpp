// What the mapping's text says of its keys: `surrogate('user', 'teacher', id)`. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "apply/mapping/definition.hpp"

namespace tidegate {

// An expression that is a call of uuid() or surrogate() and nothing else before it.
struct KeyCall {
  std::string function, entity;
  std::vector<std::string> words;  // the texts with which the key begins
};
std::optional<KeyCall> key_call(std::string_view expression);
// One whose key ends in a bare column: `uuid('user', parent_id)`. Who knows the key knows the column's value.
struct ColumnKey {
  std::string scope;               // of the key memory: "uuid:user"
  std::vector<std::string> words;  // with which the key begins
  std::string column;              // as the source spells it
  bool operator==(const ColumnKey&) const = default;
};
std::optional<ColumnKey> column_key(std::string_view expression, const std::vector<std::string>& columns);
// Does the expression ask the key memory, whatever for?
bool asks_memory(std::string_view expression);
bool asks_unique_value(std::string_view expression);

// The column whose sequence an entity's integers are drawn from: the key column that is filled by it.
struct KeyColumn {
  std::string schema, table, column;
};
std::map<std::string, KeyColumn> surrogate_columns(const std::vector<MapDefinition>& maps);

// Where several owners of a table differ in their keys' first words, that is what tells their rows apart:
// gives each the condition that its rows' keys are remembered.
void tell_owners_apart(std::vector<MapDefinition>& maps, const std::string& pipeline);
// Entities whose UUIDs such conditions look up.
std::set<std::string> remembered_uuids(const std::vector<MapDefinition>& maps);

}  // namespace tidegate
