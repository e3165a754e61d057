// A table's rows become those of its staging table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apply/postgres/native/shape.hpp"
#include "apply/postgres/outside_references.hpp"
#include "apply/postgres/quarantine.hpp"

namespace tidegate {

// The statements. Pure.
class MergeSql {
 public:
  // `others`: columns of the table that tidegate does not fill.
  MergeSql(TablePlan plan, TablePlan staging, native::Shape shape, std::vector<std::string> others);

  // Condition of a row t that the staging table does not have, to stand behind FROM … AS t: " WHERE …".
  std::string gone() const;
  std::string remove_gone() const;
  std::string update_differing() const;  // empty: nothing but the key can differ
  // The same by removing and inserting, so that rows may exchange unique values; in this order.
  std::vector<std::string> replace_differing() const;
  std::string insert_missing() const;
  // Into the temporary table `tidegate_refused`: what the target refuses, row by row, with the state and
  // constraint that it names. A row that is refused since another one was not written yet is tried again.
  std::string row_by_row() const;

 private:
  bool keyless() const { return plan_.key.empty(); }
  std::string same_key(const char* other) const;
  std::string columns(const char* prefix) const;
  std::string sets(const char* from) const;
  std::string others(const char* prefix) const;
  std::string differing() const;
  const native::ColumnShape& shape_of(const std::string& target) const;

  TablePlan plan_, staging_;
  native::Shape shape_;
  std::vector<std::string> others_;
};

struct MergeTask {
  const TablePlan& plan;  // as it is to be: the staging table's, but for the names
  const TablePlan& staging;
  bool may_remove = true;  // false: others have rows in the table too
};

// Within the lane's open transaction: columns, then rows. Rows that the target refuses go to the quarantine.
// Throws Error.
void merge_rows(TargetSession& lane, Quarantine& quarantine, const OutsideReferences& references,
                const MergeTask& task);

}  // namespace tidegate
