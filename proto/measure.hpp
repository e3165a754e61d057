// Measures of parts of a table (table.hpp), put together.
#pragma once

#include "proto/table.hpp"

namespace tidegate {

// The measure of a table's rows and of other rows of the same table. Pure.
void unite(TableMeasure& into, const TableMeasure& other);

}  // namespace tidegate
