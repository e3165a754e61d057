// Rows of the target by keys, as the way back asks for them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"
#include "proto/change.hpp"

namespace tidegate {

struct TargetRowsByKey {
  std::string table;                                           // quoted
  std::vector<const ColumnPlan*> key;                          // columns that find a row
  std::vector<std::string> columns;                            // SQL over the row, which is `t`
  std::vector<std::pair<std::string, std::string>> constants;  // quoted column, text: others are passed over
};
// As the server prints them. Keys are texts.
std::vector<Row> rows_by_key(postgres::Connection& target, const TargetRowsByKey& query,
                             const std::vector<Row>& keys);

// The values of the columns with these names; NULL for one that the relation has not.
Row values_in(const Relation& relation, const Row& row, const std::vector<std::string>& names);

// The type's name without its modifier.
std::string type_of(const ColumnPlan& column);

}  // namespace tidegate
