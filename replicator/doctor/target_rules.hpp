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
  std::string name;                     // of the index
  std::vector<std::string> columns;     // all that it reads
  std::vector<std::string> types = {};  // of these, as SQL names them
  // SQL over the columns: texts that are equal where the index takes two rows for the same, and which rows
  // are in the index at all (empty: all).
  std::vector<std::string> keys = {};
  std::string condition = {};
  bool plain =
      true;  // equal if the columns' texts are: no expression, no condition, no type that folds texts
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

// Of the plan's table, which must be there. The condition of auth.users' e-mail addresses is left out, since
// it holds for each user who is mapped. Indexes under a collation that takes different texts for equal are
// left out: their keys have no text that says so.
TableRules read_rules(postgres::Connection& target, const TablePlan& plan);

}  // namespace tidegate
