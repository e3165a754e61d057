// What a column's declared type says: to SQLite (the affinity), and to people (the family). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/value.hpp"

namespace tidegate {

enum class Affinity { blob, text, numeric, integer, real };
// By SQLite's own rules.
Affinity affinity_of(std::string_view declared);
// What SQLite stores when `value` is written to a column of that affinity.
Value with_affinity(Value value, Affinity affinity);

enum class Family {
  none,
  integer,
  boolean,
  varchar,
  text,
  datetime,
  date,
  time,
  numeric,
  real,
  blob,
  json,
  unknown
};

struct DeclaredType {
  Family family = Family::none;
  std::vector<int> arguments;  // of VARCHAR(80) or DECIMAL(10, 2)
};
DeclaredType declared_type(std::string_view declared);

}  // namespace tidegate
