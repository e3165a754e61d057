// Whether a legacy Postgres database would take what comes back after a cutover, and a fence before it. The
// cutover's GUARD asks the same and more, with the plans and with a row of each table; here nothing is
// written.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "capture/postgres/catalog.hpp"
#include "db/postgres.hpp"

namespace tidegate {

struct LegacyReturnFacts {
  bool replica_mode = false;             // our role may set session_replication_role
  bool may_make_schema = false;          // or tidegate's is there already
  std::vector<std::string> not_written;  // tables that our role may not write to
  std::vector<std::string> always;       // triggers that fire in replica mode too, as TABLE.TRIGGER
};

LegacyReturnFacts read_legacy_return(postgres::Connection& source,
                                     const std::vector<capture::PostgresTable>& tables);

// Pure. Warnings only: a run needs none of it, a cutover with a way back does.
std::vector<Finding> findings_of(const LegacyReturnFacts& facts);

}  // namespace tidegate
