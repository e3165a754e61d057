// Names for constraints and indexes: deterministic, at most 63 bytes, and unique where Postgres wants it.
// Tables and indexes (those of unique constraints too) share one schema; other constraints are unique within
// their table.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate {

// Cut to 63 bytes at a character's edge, with a hash of the whole at the end; unchanged where it fits.
std::string shortened(const std::string& name);

// `table_a_b_suffix`, shortened.
std::string derived_name(std::string_view table, const std::vector<std::string>& columns,
                         std::string_view suffix);

class Names {
 public:
  // A name that no other relation of the schema, and no other constraint of the table, has: `wanted`,
  // shortened, or with a number where it is taken.
  std::string take_relation(const std::string& table, const std::string& wanted);
  std::string take_constraint(const std::string& table, const std::string& wanted);

 private:
  std::set<std::string> relations_;
  std::set<std::pair<std::string, std::string>> constraints_;
};

}  // namespace tidegate
