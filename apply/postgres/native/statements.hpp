// The SQL for one target table. Pure. Parameters are arrays, one for each value column and then one for each
// key column of an old row, all of the same length; where a row is matched by its values they are scalars.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "apply/postgres/native/shape.hpp"
#include "proto/change.hpp"

namespace tidegate::native {

using Columns = std::vector<std::size_t>;  // places in plan.columns

class Statements {
 public:
  Statements(TablePlan plan, std::vector<std::size_t> key, Shape shape);

  const Shape& shape() const { return shape_; }

  // Whole rows: all columns. An existing row gets them all but its identity ALWAYS.
  const std::string& upsert();
  const std::string& insert();  // without looking for an existing row
  // Key columns; then, if `counted`, the number of rows that must be found. Of a contributor's rows its own
  // columns get their defaults.
  const std::string& remove(bool counted);
  // The given columns, the key columns, the number of rows that must be found.
  const std::string& update(const Columns& columns);
  // One row: the given columns with their new values (the key's among them), then the old key. Where all
  // columns are given, a row that is not there is inserted; else it must be found, unless not `counted`.
  const std::string& move(const Columns& columns, bool counted);
  // Columns that are GENERATED ALWAYS AS IDENTITY in the key: for a move they must be made BY DEFAULT.
  std::vector<std::string> generate_key(std::string_view when);

  // One row that prints as given; `nulls` are the columns that are NULL, for which there is no parameter. The
  // rest are scalars: for the update first all new values (as arrays of one), then these.
  const std::string& remove_one(const std::vector<bool>& nulls);
  const std::string& update_one(const std::vector<bool>& nulls);

 private:
  using Number = std::size_t;
  const std::string& kept(const std::string& name, std::string (Statements::*make)(const Columns&) const,
                          const Columns& columns);
  std::string unnest(const Columns& columns, bool with_key, Number first = 1) const;
  std::string given(std::size_t column) const;  // the value in u
  std::string sets(const Columns& columns, bool with_key) const;
  std::string blanks() const;
  std::string matches() const;  // t against u's key
  std::string names(const Columns& columns) const;
  std::string one_row(const std::vector<bool>& nulls, Number first) const;
  std::string make_upsert() const;
  std::string make_upsert_without_arbiter() const;
  std::string make_move_of_whole_row() const;

  TablePlan plan_;
  Columns key_, all_;
  Shape shape_;
  std::string table_;
  std::map<std::string, std::string> made_;
};

}  // namespace tidegate::native
