// A column that others made in the target: how it must be written so that it holds what the source has, and
// why it cannot be. Pure.
#pragma once

#include <optional>
#include <string>

#include "apply/plan.hpp"

namespace tidegate {

struct ExistingColumn {
  std::string type;         // without a modifier ("character varying"); of a domain the type below it
  int modifier = -1;        // atttypmod
  bool is_enum = false;     // one spelling for each value
  bool folds_text = false;  // its collation takes texts for equal that differ in their bytes
};

// Makes the plan's type and limits those of the column, so that encode() refuses row by row what Postgres
// would round or cut in silence. A finding that blocks, instead, where the type alters values that no check
// of ours can tell (a `real`, a `char(n)`), where values that were measured do not fit, and where two keys of
// the source could become one.
std::optional<Finding> adopt_type(ColumnPlan& column, bool in_key, const ExistingColumn& existing,
                                  const ColumnMeasure& measure, const std::string& table);

// Does encode() refuse all that such a column would refuse?
bool is_judged_here(const std::string& type);

// The type whose encoder writes such a column, for a value that comes with no type of its own.
TargetType type_for(const ExistingColumn& existing);

}  // namespace tidegate
