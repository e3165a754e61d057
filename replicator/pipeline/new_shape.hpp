// How a target's table follows a source's table whose rows are copied again. Pure.
#pragma once

#include <string>
#include <vector>

#include "capture/postgres/catalog.hpp"
#include "replicator/pipeline/source_view.hpp"

namespace tidegate {

// `known`: what `plan` was made from. Columns that came are added, those whose type changed get the new one,
// which loses their values: it is for tables without rows. Throws Refused where a generated column changed.
NewShape new_shape(const capture::PostgresTable& known, const capture::PostgresTable& now,
                   const TablePlan& plan);

// Columns of the plan, by the target's names, that the source has no more.
std::vector<std::string> columns_that_went(const TablePlan& plan, const capture::PostgresTable& now);

}  // namespace tidegate
