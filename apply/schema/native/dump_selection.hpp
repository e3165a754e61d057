// Which entries of a dump the chosen tables need. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "apply/schema/native/dump_entries.hpp"
#include "proto/extension.hpp"

namespace tidegate::native {

struct Selection {
  std::vector<bool> kept;  // for each entry
  std::map<QualifiedName, QualifiedName>
      roots;                         // each table that is made → the chosen one that it belongs to
  std::set<std::string> extensions;  // those that something kept names
  std::vector<Finding> findings;
};

// (schema, name) of a source's table.
QualifiedName split(const std::string& source);
std::string joined(const QualifiedName& name);

// Comments are not selected here: they follow what they comment on.
Selection select(const std::vector<DumpEntry>& entries, const std::set<QualifiedName>& chosen,
                 const std::set<QualifiedName>& left_out, const std::vector<SourceExtension>& extensions);

// The relation that a CREATE STATISTICS is about, or that a foreign key refers to: the last or second name.
QualifiedName statistics_table(const DumpEntry& entry);
QualifiedName referenced_table(const DumpEntry& entry);

}  // namespace tidegate::native
