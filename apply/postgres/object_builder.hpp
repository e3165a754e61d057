// Builds indexes and constraints on several connections side by side.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/postgres/session.hpp"
#include "apply/schema/ddl.hpp"

namespace tidegate {

std::string_view name_of(DdlObject::Kind kind);

// Objects that may be built side by side; each holds those that must follow each other. Pure.
using BuildStage = std::deque<std::vector<DdlObject>>;
// Stage after stage: primary keys, then uniques and indexes, then checks and foreign keys. What belongs to a
// table with partitions follows each other, since their indexes are attached to the table's.
std::vector<BuildStage> build_stages(std::vector<DdlObject> objects);

// Each object in a transaction of its own with its row in tidegate.objects. What the target refuses is
// recorded and returned. Throws Error: what is recorded is built. `progress` is called on any thread.
std::vector<Finding> build_objects(const TargetSession& lease, std::vector<DdlObject> objects, int jobs,
                                   const std::function<void(const std::string&)>& progress);

}  // namespace tidegate
