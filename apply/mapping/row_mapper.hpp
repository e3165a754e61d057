// From the rows of one relation to the columns of its target table. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/encode.hpp"
#include "apply/plan.hpp"
#include "proto/change.hpp"

namespace tidegate {

// Why a row cannot be written: named by its source key, never by a value.
struct Reject {
  std::string source_key;               // JSON array
  std::string key_bytes;                // the same key, encoded: to find the row again
  std::string column;                   // of the source; empty where the whole row was refused
  std::string reason;                   // a Misfit's name
  std::string sqlstate, constraint;     // where the target refused it
  std::vector<std::string> target_key;  // one array literal per key column; empty where its key does not fit
};

class RowMapper {
 public:
  // Throws std::invalid_argument where the relation lacks a column that the plan reads.
  RowMapper(const TablePlan& plan, const Relation& relation);

  const TablePlan& plan() const { return *plan_; }
  const Relation& relation() const { return relation_; }

  // The row's key as the target compares it: equal strings are one target row. Absent, with `why`, where the
  // key does not fit the target's key columns.
  std::optional<std::string> target_key(const Row& row, Reject& why) const;

  // Appends the row to array literals, one for each plan column (or key column). On a misfit nothing is
  // appended to any of them, and `why` says which.
  bool append_row(const Row& row, std::vector<std::string>& arrays, Reject& why) const;
  bool append_key(const Row& row, std::vector<std::string>& arrays, Reject& why) const;
  // The values of these places in plan().columns, as elements of array literals. False where one is NULL or
  // does not fit.
  bool names_row(const Row& row, const std::vector<std::size_t>& places,
                 std::vector<std::string>& into) const;
  // append_row() as one line of COPY text format, newline included.
  bool append_copy_line(const Row& row, std::string& lines, Reject& why) const;

  std::string source_key(const Row& row) const;
  Reject reject(const Row& row) const;  // names the row; the reason is the caller's
  const std::vector<std::size_t>& key_columns() const { return key_; }  // places in plan().columns

 private:
  std::vector<std::string> key_arrays(const Row& row) const;
  Encoded encode_place(const Row& row, std::size_t column, std::string& out,
                       Encoded (*form)(const Value&, const ColumnPlan&, std::string&)) const;
  void explain(const Row& row, std::size_t column, Misfit misfit, Reject& why) const;
  bool append(const Row& row, const std::vector<std::size_t>& columns, std::vector<std::string>& arrays,
              Reject& why) const;

  bool refuse_misfit(const Row& row, Reject& why) const;

  const TablePlan* plan_;
  Relation relation_;
  bool mapped_ = false;
  std::vector<std::size_t> source_;  // for each plan column, its place in the row
  std::vector<std::size_t> key_, all_;
};

}  // namespace tidegate
