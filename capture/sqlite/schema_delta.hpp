// What a change of a table's definition means for the shadow and the target. Pure.
#pragma once

#include <string>

#include "proto/table.hpp"

namespace tidegate {

struct SchemaDelta {
  enum class Kind {
    none,
    facts,         // indexes, constraints, defaults: rows keep their shape
    extended,      // columns were added at the end
    incompatible,  // rows would mean something else; `reason` says what
  } kind = Kind::none;
  std::string reason;
};

SchemaDelta compare_schema(const SourceTable& before, const SourceTable& now);

}  // namespace tidegate
