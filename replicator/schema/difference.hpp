// What the plan's DDL asks for that the statements of the migration files do not make yet. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "apply/schema/ddl.hpp"

namespace tidegate::schema {

struct Difference {
  // Each becomes a file, in this order; none is empty. One that does not fit into a transaction stands alone.
  std::vector<std::vector<std::string>> files;
  std::map<std::string, std::string> reverses;  // of statements that do not say by themselves what was before
  // What reads otherwise than the files' and is not carried out: code migrations-differ, with what it is now.
  std::vector<Finding> findings;
};

// `made`: the statements of all files, in order of version. Throws std::invalid_argument where one cannot be
// followed.
Difference difference(const std::vector<std::string>& made, const Ddl& wanted);

// The lines that take the statements back, last first; what goes with a table that they make is left out, but
// for foreign keys. `reverses`: as difference() gave them.
std::vector<std::string> undo(const std::vector<std::string>& statements,
                              const std::map<std::string, std::string>& reverses = {});

}  // namespace tidegate::schema
