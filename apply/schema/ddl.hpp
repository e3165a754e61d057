// The target's DDL for planned tables: what must be there before the first row, and what is built after the
// load. Pure.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "apply/schema/planner.hpp"

namespace tidegate {

// What is built after the load. Each statement is its own transaction, in order: the second one of a check or
// a foreign key validates it, and may fail on rows without harm to the first.
struct DdlObject {
  enum class Kind { primary_key, unique, index, check, foreign_key } kind = Kind::index;
  std::string table;  // the source's
  std::string name;
  std::vector<std::string> statements;
};

struct Ddl {
  std::vector<std::string> before_load;
  // primary keys (a Postgres source's), uniques, indexes, checks, foreign keys
  std::vector<DdlObject> after_load;
  std::vector<std::string> at_end;  // once, when all is built
  std::vector<Finding> findings;
};

// `plans[i]` belongs to `tables[i]`. Throws std::invalid_argument on a privilege or a number of plans that
// cannot be.
Ddl make_ddl(const std::vector<SourceTable>& tables, const std::vector<TablePlan>& plans,
             const PlanOptions& options);

// Makes the next value of the identity column follow the highest key on the target, the highest that the
// source ever gave, and what the sequence itself has reached. "" where the table has no identity column.
std::string identity_restart(const SourceTable& table, const TablePlan& plan);

// For a table that appears while streaming: all that make_ddl says of `name`, in order; `tables` and `plans`
// hold it.
std::vector<std::string> add_table_statements(const std::string& name, const std::vector<SourceTable>& tables,
                                              const std::vector<TablePlan>& plans,
                                              const PlanOptions& options);
// For a column that appears while streaming. NOT NULL is kept only with a default that fills the rows that
// are there. Else they get NULL, whatever the default: that is what the stream starts from.
std::string add_column_statement(const SourceTable& table, const TablePlan& plan, const ColumnPlan& column);

}  // namespace tidegate
