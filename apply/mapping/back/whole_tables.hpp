// Which tables of the target must be read in whole so that every row of the mapped legacy tables is touched,
// and in which order. For a way back that is built anew. Pure.
#pragma once

#include <string>
#include <vector>

#include "apply/mapping/back/returned_table.hpp"

namespace tidegate {

struct WholeTable {
  std::string name;                  // as the target's stream gives it
  std::string from;                  // quoted
  std::vector<std::string> columns;  // by which its rows are touched
};

// The anchors, those to whose rows others refer before those others, contributors' last; then tables that
// several maps own rows of, so that rows that nobody takes are found.
std::vector<WholeTable> whole_tables(const std::vector<const ReturnedTable*>& tables);

}  // namespace tidegate
