// What statements must know of a target table's columns beyond the plan, from the catalogue.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"

namespace tidegate::native {

struct ColumnShape {
  std::string type;              // as a cast names it, without modifier
  bool one_by_one = false;       // an array or a composite: unnest would take it apart
  char delimiter = ',';          // between elements of an array of this type
  std::string equality;          // "=" or "OPERATOR(public.=)"; empty where the type has none by default
  bool exact = false;            // = is true only of values that print alike
  bool identity_always = false;  // GENERATED ALWAYS AS IDENTITY: no UPDATE may set it
};

struct Shape {
  std::vector<ColumnShape> columns;  // in the plan's order
  bool arbiter = false;  // a unique index on the plan's key that ON CONFLICT can use (not a deferrable one)
};

// Throws Error where the table or a column of the plan is not there.
Shape shape_of(postgres::Connection& target, const TablePlan& plan);

}  // namespace tidegate::native
