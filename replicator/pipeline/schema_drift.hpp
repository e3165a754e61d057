// What a Postgres source's table became while the stream went on, and whether that can be carried over. Pure.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "capture/postgres/assembler.hpp"
#include "capture/postgres/catalog.hpp"

namespace tidegate {

// The table as it is now, with the columns that the stream has from here on; or why an operator must look.
using Drift = std::variant<SourceTable, std::string>;

// `known`: the table as it was when the pipeline last looked; `now`: as the catalogue has it, which may be
// ahead of the stream. Only nullable columns at the end whose value is NULL in all older rows can be carried
// over: all else changes rows that the stream does not show, or needs a decision.
Drift drift(const RelationChanged& change, const capture::PostgresTable& known,
            const capture::PostgresTable& now);

}  // namespace tidegate
