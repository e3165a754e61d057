// In replica mode the target checks no foreign key. Rows that a mapping made are checked here instead: their
// parents may be left out by a filter, or held, or go while they stay.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "apply/mapping/row_mapper.hpp"
#include "apply/net_changes.hpp"
#include "apply/postgres/foreign_key.hpp"
#include "apply/postgres/quarantine.hpp"

namespace tidegate {

class OrphanGuard {
 public:
  // Reads the foreign keys of the tables that mapped relations own. None are watched where the server checks
  // them itself.
  OrphanGuard(postgres::Connection& target, bool replica_mode, const Plans& plans);

  bool watches(const TablePlan& plan) const { return references_.contains(quoted_name(plan)); }
  // Are the rows there that these rows, as they were sent, refer to? One cheap question for many rows; false
  // also where only hold_orphans() can tell. Those that are `known` are not asked for; what was asked for and
  // is there is noted.
  bool have_parents(postgres::Connection& target, const RowMapper& mapper,
                    const std::vector<const Row*>& rows, KnownParents* known = nullptr) const;
  // Within the transaction that wrote these rows: those whose parent is not there are taken out again and
  // held, with the constraint's name; they are tried again when others have come.
  void hold_orphans(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                    const std::vector<Reject>& written, std::uint64_t sequence) const;

  // These rows were written as they were sent: those that refer to them need not ask.
  void note_written(const RowMapper& mapper, const std::vector<const Row*>& rows, KnownParents& known) const;

  // May rows of mapped tables refer to this one's, or other maps write columns of them?
  bool is_parent(const TablePlan& plan) const {
    return !plan.contributor &&
           (children_.contains(quoted_name(plan)) || contributors_.contains(quoted_name(plan)));
  }
  // Within the transaction that took these rows away: rows of mapped tables that refer to them are taken out
  // too, and those that refer to these. The target does not say which rows of the source they are, so they
  // are held by the target's key until they were found there (replicator/pipeline/row_retries.hpp).
  void take_out_children(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                         const std::vector<Reject>& removed, std::uint64_t sequence) const;
  // Before all rows of this owner go: those of which other maps may write columns. What they wrote waits for
  // the rows to come again, once take_out_contributions() was told.
  std::vector<Reject> rows_with_contributions(postgres::Connection& target, const TablePlan& plan) const;
  void take_out_contributions(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                              const std::vector<Reject>& removed, std::uint64_t sequence) const;
  // The same as take_out_children() where any of the table's rows may be gone.
  void take_out_children(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                         std::uint64_t sequence) const;
  // The same of rows that moved to these keys: what other maps wrote came with them and belongs to the keys
  // that they had. Their columns get their defaults, and what those maps make of the new keys is looked for.
  void part_from_contributions(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                               const std::vector<Reject>& moved, std::uint64_t sequence) const;

 private:
  struct Child {
    TablePlan plan;  // one of those that own the table
    std::string constraint;
    std::vector<std::string> there, filled;  // that the parent is there; that it refers to one
    std::vector<std::string>
        keyed;  // "c.parent_id = k.k1::uuid"; fewer where it refers to other columns than the key
  };
  bool has_contributors(const TablePlan& plan) const {
    return !plan.contributor && contributors_.contains(quoted_name(plan));
  }
  void add_children(postgres::Connection& target, const Plans& plans);
  void hold_contributions(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                          const std::vector<const Reject*>& removed, std::uint64_t sequence) const;
  void take_out(postgres::Connection& target, Quarantine& quarantine, const TablePlan& plan,
                const std::vector<Reject>* removed, std::uint64_t sequence) const;

  std::unordered_map<std::string, std::vector<ForeignKey>> references_;   // by the child's quoted name
  std::unordered_map<std::string, std::vector<Child>> children_;          // by the parent's quoted name
  std::unordered_map<std::string, std::vector<TablePlan>> contributors_;  // by the table's quoted name
};

// How the quarantine names a row of which only the target's key is known, as texts; the entry's key_bytes
// hold Reject::target_key.
std::string key_of_target(const std::vector<std::string>& texts);
bool is_key_of_target(std::string_view source_key);

}  // namespace tidegate
