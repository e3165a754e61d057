// The target's end as the live side: how a rollback holds its writers, fences it within that hold, and finds
// out whether it did.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "apply/postgres/target_fence.hpp"

namespace tidegate {

// What a hold's transaction begins with, as the process that holds understands it
// (replicator/cutover/holder): a statement that waits until no other hold of the pipeline is open, then the
// tables' quoted names, each behind a NUL.
std::string hold_request(const std::string& pipeline, const std::vector<TablePlan>& plans);

// Within that transaction: the fence, the live side (the source, by this run), and that forward batches are
// taken again. `look` is another connection, which only reads.
std::string close_target_sql(postgres::Connection& look, const std::string& pipeline,
                             const std::vector<TablePlan>& plans, const std::string& run);

// Who is live, for good: once no hold of the pipeline is open any more, so that nobody is still committing
// one. Throws Error (retry) where one does not end in time.
TargetLiveSide settle_target(postgres::Connection& target, const std::string& pipeline,
                             std::chrono::milliseconds wait);

// Transactions, prepared ones too, that have written to the pipeline's tables, or maintain them, for longer
// than this: a hold would wait for them, and so would switching a fence off. "pid 71 (psql) since 12 s", the
// oldest first. Waits that long where the server does not let our
// role see since when another role's transaction has been open.
std::vector<std::string> in_the_way_of_a_hold(postgres::Connection& target,
                                              const std::vector<TablePlan>& plans,
                                              std::chrono::milliseconds longer_than);

}  // namespace tidegate
