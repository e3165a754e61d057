// The target's fence: from the first chunk until the target is opened, only sessions in replica mode write to
// the tables that tidegate fills; everybody else is refused with 25006. Statement triggers, and row triggers
// on the roots of partitioned tables, so that a partition which is written to directly is fenced too.
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

// Within the caller's transaction: fences what is not fenced yet. Does nothing where the role may not set
// replica mode (tidegate would fence itself out) or the target is open.
void fence_target(TargetSession& session, const std::vector<TablePlan>& plans);

// Statements that fence what tidegate could fence and is not fenced yet.
std::string fence_sql(postgres::Connection& target, const std::string& pipeline,
                      const std::vector<TablePlan>& plans);

// Within the caller's transaction: the tables take writes. The triggers stay, disabled, until they are needed
// again or dropped: dropping waits for whoever reads a table, disabling for writers only.
void switch_fence_off(postgres::Connection& target, const std::vector<TablePlan>& plans);

// Within the caller's transaction: drops it, whether it is switched on or off.
void unfence_target(postgres::Connection& target, const std::vector<TablePlan>& plans);

// Tables ("schema.name") of the pipeline that others can write to: those that tidegate could fence, and those
// whose owner is another role.
struct Unfenced {
  std::vector<std::string> ours, of_others;
};
Unfenced unfenced_targets(postgres::Connection& target, const std::vector<TablePlan>& plans);

// Who is live, as the target says: the run that changed it last, and the side.
struct TargetLiveSide {
  bool is_live = false;
  std::string run;  // empty: no run has ever changed it
};
TargetLiveSide ask_target(postgres::Connection& target, const std::string& pipeline);

// OPEN, in one transaction under the pipeline's lease: the fence is switched off, run and live side are
// written, and from its commit on every forward transaction is refused by the target. Can be repeated.
void open_target(TargetSession& session, const std::vector<TablePlan>& plans, const std::string& run);

}  // namespace tidegate
