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

// Whether the stream names rows as it did when the table was looked at: a replica identity that was changed
// and changed back between two looks is seen here alone.
bool same_identity(const RelationShape& shape, const capture::PostgresTable& known);

// The shape that the stream would have described while the table was still as known; where that cannot be
// told apart, as now.
RelationShape shape_when_known(const capture::PostgresTable& known, const RelationShape& now);

// What became of a replicated table as the catalogue shows it, whether or not the stream says so.
struct Standing {
  enum class Kind {
    same,   // no row changed without an event; what is known of it may be replaced
    wait,   // new columns that the stream will announce
    doubt,  // rows changed without events, or will: nothing more may be applied to it
  };
  Kind kind = Kind::same;
  std::string why;  // of a doubt
};

// `now`: absent where no table has that name any more. TRUNCATE, VACUUM FULL and CLUSTER give a table a new
// file and leave its columns' definitions alone; ALTER TYPE, a volatile default and the like write those too.
// So does VACUUM FULL where a column was once added with a default: that cannot be told apart, and is a
// doubt.
Standing standing(const capture::PostgresTable& known, const capture::PostgresTable* now);

}  // namespace tidegate
