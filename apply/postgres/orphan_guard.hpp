// In replica mode the target checks no foreign key. Rows that a mapping made are checked here instead: their
// parents may be left out by a filter, or held.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "apply/mapping/row_mapper.hpp"
#include "apply/net_changes.hpp"
#include "apply/postgres/quarantine.hpp"

namespace tidegate {

class OrphanGuard {
 public:
  // Reads the foreign keys of the tables that mapped relations own. None are watched where the server checks
  // them itself.
  OrphanGuard(postgres::Connection& target, bool replica_mode, const Plans& plans);

  bool watches(const TablePlan& plan) const { return references_.contains(quoted_name(plan)); }
  // Within the transaction that wrote these rows: those whose parent is not there are taken out again and
  // held, with the constraint's name; they are tried again when others have come.
  void hold_orphans(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                    const std::vector<Reject>& written, std::uint64_t sequence) const;

 private:
  struct Reference {
    std::string constraint, parent, filled, matches;
  };
  std::unordered_map<std::string, std::vector<Reference>> references_;  // by the child's quoted name
};

}  // namespace tidegate
