// What a target's tables ask of rows beside their columns' types: unique values, parents, the labels of
// enums. Reads only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "db/postgres.hpp"

namespace tidegate {

struct UniqueRule {
  std::string name;  // of the index
  std::vector<std::string> columns;
};
struct ParentRule {
  std::string name;  // of the constraint
  std::vector<std::string> columns;
  std::string parent;  // "public.profiles"
  std::vector<std::string> parent_columns;
};
struct TableRules {
  std::vector<UniqueRule> unique;
  std::vector<ParentRule> parents;
  std::map<std::string, std::set<std::string>> labels;  // by column
};

// Of the plan's table, which must be there. Unique indexes over expressions, or with a condition, are left
// out: all but that of auth.users' e-mail addresses, whose condition holds for each user who is mapped.
TableRules read_rules(postgres::Connection& target, const TablePlan& plan);

}  // namespace tidegate
