// Rows of a SQLite file whose parent is not there: SQLite keeps to its foreign keys only where each
// connection asks for it.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "proto/table.hpp"

namespace tidegate {

// That each child's values are a parent's. Names are the source's.
struct Reference {
  std::string child;
  std::vector<std::string> columns;
  std::string parent;
  std::vector<std::string> parent_columns;
  bool operator==(const Reference&) const = default;
};

// Those that the file declares, between tables of `tables`.
std::vector<Reference> declared_references(const std::vector<SourceTable>& tables);

// Warns of each reference that some rows break, with how many and the first keys. Throws Refused "wal-needed"
// as capture::read_live() does.
std::vector<Finding> find_orphans(const std::string& path, const std::vector<SourceTable>& tables,
                                  const std::vector<Reference>& references);

}  // namespace tidegate
