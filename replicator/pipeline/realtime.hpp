// Tables of [target] realtime: they join the publication that Supabase's Realtime sends to clients, once the
// target has caught up. README.md, "Realtime".
#pragma once

#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

inline constexpr const char* kRealtimePublication = "supabase_realtime";

// What keeps them from joining, each a finding that blocks. `tables`: "schema.table". `made`: plans of tables
// that tidegate makes, so that they need not be there yet. Reads only.
std::vector<Finding> find_realtime(postgres::Connection& target, const std::vector<std::string>& tables,
                                   const std::vector<TablePlan>& made);

// Tables that tidegate is to fill and that are published already: clients would be sent every row of the
// load.
std::vector<Finding> find_published(postgres::Connection& target, const std::vector<TablePlan>& plans);

// Those that have not joined before do, each in one target transaction with its row in tidegate.realtime.
// What stands in the way of one is a finding, and the others join. One that was taken out since stays out,
// and is a finding.
std::vector<Finding> join_realtime(TargetSession& session, const std::vector<std::string>& tables);

}  // namespace tidegate
