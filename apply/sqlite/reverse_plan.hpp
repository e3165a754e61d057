// From a forward plan and the legacy table's description to the way back: which target column goes into which
// column of the legacy table, and in which form. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apply/moment.hpp"
#include "apply/plan.hpp"
#include "apply/schema/declared_type.hpp"

namespace tidegate {

// How the application writes a column's values, as far as the column's type leaves it open. Counts values.
struct ColumnForm {
  std::uint64_t integers = 0, reals = 0, blobs = 0, texts = 0;
  struct Spelled {
    TimeSpelling spelling;
    std::uint64_t values = 0;
  };
  std::vector<Spelled> spellings;
};
// Takes one of the newest values into account. `is_time`: texts may be moments.
void learn(ColumnForm& form, const Value& value, bool is_time);

struct ReverseColumn {
  ColumnPlan forward;  // `target` is the column that is read, `source` the legacy's, or "_rid" for the rowid
  Affinity affinity = Affinity::blob;  // of the legacy's column
  bool not_null = false;               // in the legacy table
  bool is_rowid = false;               // "_rid", or the INTEGER PRIMARY KEY
  ColumnForm form;
  bool is_time() const;
};

struct ReverseTable {
  std::string legacy;      // the table's name there
  std::string target;      // "schema.table", as the target's stream calls it
  std::string rowid_name;  // how SQL reaches the rowid; empty where there is none, or no name is left for it
  std::vector<ReverseColumn> columns;
  std::optional<std::size_t> place_of(const std::string& target_column) const;
};

struct ReversePlanned {
  ReverseTable table;
  std::vector<Finding> findings;  // Level::block: there is no way back for this table
};
// `legacy` must be the table that `forward` was made for.
ReversePlanned plan_back(const TablePlan& forward, const SourceTable& legacy);

}  // namespace tidegate
