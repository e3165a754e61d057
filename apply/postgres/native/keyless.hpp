// How rows of tables without a key are named in the quarantine: by a hash of what they are.
#pragma once

#include <optional>
#include <string>

#include "apply/postgres/native/table.hpp"
#include "apply/postgres/quarantine.hpp"

namespace tidegate::native {

enum class KeylessState {
  refused,  // the target does not hold the row
  missing,  // the row's form before was not found, so the target may hold some form of it
  gone,     // a row to delete was not found
};

class KeylessNames {
 public:
  explicit KeylessNames(const Quarantine& quarantine) : quarantine_(quarantine) {}

  // A name that is not held yet.
  Reject fresh(const Table& table, const Row& row, KeylessState state) const;
  // The name under which one such row is held.
  std::optional<std::string> held(const Table& table, const Row& row, KeylessState state) const;

 private:
  const Quarantine& quarantine_;
};

}  // namespace tidegate::native
