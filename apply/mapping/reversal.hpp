// What the maps of a source's table leave of its columns for a way back. README.md, "Way back". Pure.
#pragma once

#include <string>
#include <vector>

#include "apply/mapping/definition.hpp"
#include "proto/table.hpp"

namespace tidegate {

// Each column of the table is in one of these, in the table's order.
struct Reversal {
  std::string table;
  std::vector<std::string> kept;  // some target column is nothing but this one
  std::vector<std::string>
      remembered;                 // only in keys made by uuid() or surrogate(), which cannot be computed back
  std::vector<std::string> lost;  // only in what other expressions or conditions make of them
  std::vector<std::string> unread;  // no map reads them
  bool operator==(const Reversal&) const = default;
};

// One for each table that some map reads, in the order of `tables`; a table that comes twice is taken once.
std::vector<Reversal> reversals(const std::vector<MapDefinition>& maps,
                                const std::vector<SourceTable>& tables);

}  // namespace tidegate
