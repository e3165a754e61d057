// What extensions a target has and could have.
#pragma once

#include <map>
#include <set>
#include <string>

#include "db/postgres.hpp"

namespace tidegate {

struct TargetExtensions {
  std::map<std::string, std::string> installed;  // name → schema
  std::set<std::string> available;               // installed ones included
};
TargetExtensions read_target_extensions(postgres::Connection& target);

}  // namespace tidegate
