// A legacy Postgres database as the end that a cutover leaves: its fence, and the account by which the way
// back writes to it. The account is the same schema `tidegate` that a target has, with the target's roles
// reversed: plans that lead here, the way back's position, rows that did not fit (quarantine), the live side.
// Nothing of it is there before the first fence.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"
#include "proto/position.hpp"

namespace tidegate {

// From the target's table back to the legacy's. `identity`: the columns by which the target's stream names a
// row, empty where it sends whole rows. Throws Refused where the legacy does not have one of them. Pure.
TablePlan plan_back(const TablePlan& forward, const std::vector<std::string>& identity);

// Statements for the transaction that holds the tables: the account with `start` as the way back's position,
// live side `target` by this run, and the fence over every table of the plans. `look` is another connection,
// which only reads.
std::string fence_legacy_sql(postgres::Connection& look, const std::string& pipeline,
                             const std::vector<TablePlan>& back, const Position& start,
                             const std::string& run);

// For a way back that is built anew: the account begins at `start`, without rejects, in one transaction,
// after which a session of an earlier way back is refused. Throws Refused where the database is not fenced.
void begin_legacy_anew(postgres::Connection& legacy, const std::string& pipeline,
                       const std::vector<TablePlan>& back, const Position& start);

// In one transaction: the fence goes, the run is written, and from its commit on the server refuses whatever
// the way back may still send. Can be repeated. Throws Error (retry) where somebody holds a table for longer
// than `wait`.
void open_legacy_side(postgres::Connection& legacy, const std::string& pipeline, const std::string& run,
                      std::chrono::milliseconds wait);

// A fence that somebody has broken is made whole again, in one transaction; same errors.
void mend_legacy_fence(postgres::Connection& legacy, const std::string& pipeline,
                       std::chrono::milliseconds wait);

}  // namespace tidegate
