// Which rows of the source a map makes certain rows of the target of, where only the target's keys are known.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "proto/change.hpp"
#include "proto/table.hpp"

namespace tidegate {

struct Settings;

using TargetKeys = std::set<std::vector<std::string>>;  // Reject::target_key
// Calls back with each row of the table.
using ReadAll = std::function<void(const std::function<void(const Row&)>&)>;

// Their keys in the source, as far as the table has them now: all of its rows are mapped, by what the key
// memory holds.
std::vector<Row> source_keys_of(const Settings& settings, const TablePlan& plan, const SourceTable& table,
                                const Relation& relation, const TargetKeys& keys, const ReadAll& read_all);

}  // namespace tidegate
