// From the sequences of the side that gives out the ids to those of the side that follows it.
#pragma once

#include <vector>

#include "apply/plan.hpp"
#include "apply/postgres/sequences.hpp"
#include "capture/postgres/catalog.hpp"
#include "capture/postgres/watch.hpp"

namespace tidegate {

// Of columns that a plan carries over as they are; `plans` lead to the side that follows. Sequences from
// which nothing was drawn yet are not among them. Pure.
std::vector<SequenceEnd> sequence_ends(const std::vector<capture::SequenceValue>& values,
                                       const std::vector<TablePlan>& plans);

// What keeps them from going on where the other side takes over (code sequence-unknown). `giving` and
// `following` say how an operator knows the two sides: "source", "target".
std::vector<Finding> sequence_findings(postgres::Connection& from, postgres::Connection& to,
                                       const std::vector<capture::PostgresTable>& tables,
                                       const std::vector<TablePlan>& plans, const char* giving,
                                       const char* following);

// The same where a SQLite file gives them out: of the target's identity columns, whose sequences must be
// theirs.
std::vector<Finding> own_sequence_findings(postgres::Connection& target, const std::vector<TablePlan>& plans);

}  // namespace tidegate
