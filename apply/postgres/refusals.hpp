// How often a Postgres fence has refused a write. What a refused statement does is rolled back, but not what
// it drew from a sequence: the fence's function draws from one of the pipeline before it raises.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "db/postgres.hpp"

namespace tidegate {

// The sequence's name within the schema `tidegate`, which the fence's triggers hand to their function.
std::string refusal_sequence(const std::string& pipeline);

// Statements for the transaction that fences: the sequence is there.
std::string count_refusals_sql(const std::string& pipeline);

// An expression, for the same transaction: what has been counted until now.
std::string refused_so_far_sql(const std::string& pipeline);

// Statements that the fence has refused since it was made by a cutover or rollback; before the first one,
// since it is there. Absent where it counts none: it is not there, or was made by an older tidegate. Up to 32
// too many once the server has crashed.
std::optional<std::uint64_t> refusals(postgres::Connection& server, const std::string& pipeline);

// Within the caller's transaction: the sequence goes. Waits for transactions that were refused within a
// savepoint.
void forget_refusals(postgres::Connection& server, const std::string& pipeline);

}  // namespace tidegate
