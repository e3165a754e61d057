#include "proto/table.hpp"

#include <algorithm>

namespace tidegate {

const SourceColumn* SourceTable::column(const std::string& wanted) const {
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const SourceColumn& c) { return c.name == wanted; });
  return found == columns.end() ? nullptr : &*found;
}

}  // namespace tidegate
