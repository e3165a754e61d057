// The SQL for one target table, from its plan. Pure.
#pragma once

#include <string>

#include "apply/plan.hpp"

namespace tidegate {

// COPY t (columns) FROM STDIN, text format.
std::string copy_sql(const TablePlan& plan);
// One array parameter per plan column.
std::string insert_sql(const TablePlan& plan);
// The same parameters. Whole rows; existing ones get the plan's columns, and keep all others.
std::string upsert_sql(const TablePlan& plan);
// A batch is checked as a whole where constraints allow that, and always before the position is written: what
// only COMMIT would find could be laid to no row. Row by row, each is checked at once.
inline constexpr const char* check_at_the_end = "SET CONSTRAINTS ALL DEFERRED";
inline constexpr const char* check_now = "SET CONSTRAINTS ALL IMMEDIATE";

// One array parameter per key column. Of a contributor's rows its own columns get their defaults.
std::string delete_sql(const TablePlan& plan);
// The same for all rows of the plan's relation but those that were adopted, without parameters.
std::string delete_all_sql(const TablePlan& plan, const std::string& pipeline);
// Notes all rows that are there as adopted; empty where rows cannot be told apart by a key.
std::string adopt_sql(const TablePlan& plan, const std::string& pipeline);
// A contributor's columns of rows that must be there: one array parameter per plan column, and the number of
// rows. Fails with is_row_missing() where some are not.
std::string contribute_sql(const TablePlan& plan);
// `unnest($1::bigint[], …) AS k(k1, …) WHERE t."id" = k.k1 AND …`: finds rows of the table, which must be
// named t, by one array parameter per key column.
std::string matching_keys(const TablePlan& plan, int first_parameter = 1);
// The same with the rows' numbers, from 1, as k.n.
std::string numbered_keys(const TablePlan& plan);
// One array parameter per key column: the rows' values of `column` are replaced by values that no other row
// has, so that a set of rows can exchange unique values among themselves. Empty where the column's type or
// its place in the key leaves no such value.
std::string park_sql(const TablePlan& plan, const ColumnPlan& column);

}  // namespace tidegate
