// Rows of a mapped relation that no row of the source makes. A comparison of both ends at one position found
// them; which row of the source they once came from is not known, so nothing can be read again. They may go
// as long as they are the versions that were found: whatever the stream writes makes another version of its
// row, even where all values stay the same, and a source row that makes one of them by now has been written
// by the stream.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apply/net_changes.hpp"
#include "apply/plan.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

struct UnownedRow {
  Row key;              // of the target's table, as the server prints it
  std::string version;  // empty: not known
};

// Fills in the versions, as the connection's snapshot shows them.
void read_versions(postgres::Connection& target, const TablePlan& plan, std::vector<UnownedRow>& rows);

// Takes out those that are still as they were found, in one target transaction; a contributor's columns get
// their defaults instead. A row to which rows of the pipeline's tables refer stays. Returns how many went.
std::uint64_t remove_unowned(TargetSession& session, const Plans& plans, const TablePlan& plan,
                             const std::vector<UnownedRow>& rows);

}  // namespace tidegate
