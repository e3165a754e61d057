// An extension that the source has: what of it may be named in a table's definition.
#pragma once

#include <string>
#include <vector>

namespace tidegate {

struct SourceExtension {
  std::string name, schema;
  std::vector<std::string> members;  // types, functions, operators and the like, without their schema
};

}  // namespace tidegate
