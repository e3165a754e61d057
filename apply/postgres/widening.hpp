// SQLite enforces neither VARCHAR(n) nor NUMERIC(p,s), so a row may come any day that is wider than all that
// were measured. Columns that tidegate made are then widened (to text, to numeric without limits; no rewrite
// of the table) before the row is written, rather than keeping an acknowledged write out of the target.
// Columns that others made are not touched.
#pragma once

#include <functional>
#include <string>

#include "apply/mapping/row_mapper.hpp"
#include "apply/plan.hpp"

namespace tidegate {

// Would the row fit if its column were wider? Not where a [[rule]] says what to do with it. Pure.
bool is_too_narrow(const TablePlan& plan, const Reject& reject);
// What the column becomes. Pure.
void widen(ColumnPlan& column);

// Widens a column on the target and in its plan, within the caller's transaction. False: it stays as it is.
using Widen = std::function<bool(const std::string& source_table, const std::string& column)>;

}  // namespace tidegate
