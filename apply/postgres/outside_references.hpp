// Foreign keys from tables that tidegate does not fill to tables that it does. In replica mode the server
// does not act on them, so a delete of a parent would leave their rows behind (auth.sessions of a user who is
// gone!).
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "apply/net_changes.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

class OutsideReferences {
 public:
  OutsideReferences(TargetSession& session, const Plans& plans);

  // What the ON DELETE actions ask for when the rows with these keys go; to run before the delete itself.
  void before_delete(const TablePlan& plan, const std::vector<std::string>& key_arrays,
                     std::vector<postgres::Command>& commands) const;
  // The same where all rows go, or those for which `condition` (" WHERE …", the table being t) is true.
  void before_delete_of_all(const TablePlan& plan, std::vector<postgres::Command>& commands) const;
  void before_delete_where(const TablePlan& plan, const std::string& condition,
                           std::vector<postgres::Command>& commands) const;

 private:
  struct Reference {
    std::string child;  // quoted
    std::vector<std::string> child_columns, parent_columns;
    char action = 'a';  // pg_constraint.confdeltype
  };
  static std::string action_sql(const TablePlan& plan, const Reference& reference, const std::string& gone);
  void act(const TablePlan& plan, const std::string& gone, const std::vector<postgres::Parameter>& keys,
           std::vector<postgres::Command>& commands) const;
  std::unordered_map<std::string, std::vector<Reference>> by_parent_;  // quoted_name of the plan
};

}  // namespace tidegate
