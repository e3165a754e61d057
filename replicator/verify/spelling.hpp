// How the target's server spells values: the last word on whether two texts are one value of a column.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"

namespace tidegate::verify {

// The column types of one table, with their modifiers, and what its server prints for a text. Uses a
// connection of its own outside of any snapshot, since a text that a type does not read fails a transaction.
class Speller {
 public:
  explicit Speller(const postgres::ConnectOptions& target) : target_(target) {}

  // Each text as the column prints it; one that it does not read stays as it is.
  std::vector<std::string> spell(const TablePlan& plan, std::size_t column, std::vector<std::string> texts);

 private:
  const std::string& type_of(const TablePlan& plan, std::size_t column);
  void spell_range(const std::string& type, std::vector<std::string>& texts, std::size_t first,
                   std::size_t last);

  postgres::Connection target_;
  std::string relation_;  // whose types these are; several may fill one table
  std::vector<std::string> types_;
};

}  // namespace tidegate::verify
