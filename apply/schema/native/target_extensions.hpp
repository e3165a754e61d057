// What extensions a target has and could have.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"

namespace tidegate {

struct TargetExtensions {
  std::map<std::string, std::string> installed;  // name → schema
  std::set<std::string> available;               // installed ones included
};
TargetExtensions read_target_extensions(postgres::Connection& target);

// One finding that blocks for each extension which the tables need and the target cannot have. Pure.
std::vector<Finding> missing_extensions(const std::set<std::string>& needed, const TargetExtensions& target);

}  // namespace tidegate
