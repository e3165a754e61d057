#include "proto/table.hpp"

#include <strings.h>

#include <algorithm>

namespace tidegate {

const SourceColumn* SourceTable::column(const std::string& wanted) const {
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const SourceColumn& c) { return c.name == wanted; });
  return found == columns.end() ? nullptr : &*found;
}

std::string SourceTable::rowid_name() const {
  for (const char* name : {"rowid", "_rowid_", "oid"}) {
    bool taken = std::any_of(columns.begin(), columns.end(),
                             [&](const SourceColumn& c) { return strcasecmp(c.name.c_str(), name) == 0; });
    if (!taken) return name;
  }
  return "";
}

}  // namespace tidegate
