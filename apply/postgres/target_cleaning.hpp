// The end of a pipeline whose target is live: what tidegate keeps there goes, the rows stay.
#pragma once

#include <string>

#include "db/postgres.hpp"

namespace tidegate {

// The summary per table (tidegate.migration_checkpoints) and the rows that were left out on purpose, by key
// and reason, as one JSON document; empty where tidegate has left the target already.
std::string export_account(postgres::Connection& target, const std::string& pipeline);

// One transaction: the fence where it is still there, the hidden columns of tables that tidegate made, and
// the pipeline's own account; the schema tidegate itself where no other pipeline uses it. Can be repeated.
void clean_target(postgres::Connection& target, const std::string& pipeline);

}  // namespace tidegate
