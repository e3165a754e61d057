// A batch in the source's order.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "apply/postgres/native/statements.hpp"
#include "apply/postgres/native/table.hpp"
#include "proto/change.hpp"

namespace tidegate::native {

// A table and its statements, once the target has been asked for its shape.
struct Target {
  Table table;
  std::optional<Statements> statements;
};

struct Step {
  Target* target;
  Change change;
  std::vector<Target*> truncated = {};  // a truncate only: all tables of the source's statement

  const Table& table() const { return target->table; }
  Operation operation() const { return change.operation; }
  bool is_whole() const { return change.absent.empty() || table().absent_columns(change).empty(); }
  bool moves_key() const {
    return operation() == Operation::update && !change.before.empty() && !table().keyless();
  }
};

}  // namespace tidegate::native
