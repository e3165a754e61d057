// The table gets the columns of its staging table, which has the source's newest shape.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"

namespace tidegate {

class ShapeChange {
 public:
  // Asks the target how the two tables differ.
  ShapeChange(postgres::Connection& target, const TablePlan& plan, const TablePlan& staging);

  // Columns change their type: that takes an empty table.
  bool needs_empty_table() const { return !retyped_.empty(); }
  // Before the rows are made equal; throws Error.
  void before_rows(postgres::Connection& target) const;
  // After it; what the target refuses is left as it is.
  void after_rows(postgres::Connection& target) const;

 private:
  struct Column {
    std::string name, type, default_sql;
    bool generated = false, not_null = false;
  };
  void rules(const Column& column, std::vector<std::string>& out) const;
  std::string alter(const std::string& piece) const;

  std::string table_;
  std::vector<Column> added_, retyped_;
};

}  // namespace tidegate
