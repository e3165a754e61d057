// The quarantine in the target: which rows are not there as the source has them, and why. Entries commit with
// the batch that met them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "apply/mapping/row_mapper.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

class Quarantine {
 public:
  // Reads which keys are held, so that an ordinary row costs no query.
  explicit Quarantine(TargetSession& session);
  // The same once more, outside of any transaction: another session of this pipeline changed it.
  void read_again();

  // As the open transaction would leave it.
  bool empty() const { return held_.empty() && pending_.empty(); }
  bool holds(const std::string& source_table, const std::string& source_key) const;
  std::size_t size() const { return held_.size(); }  // committed ones

  // Commands for the caller's transaction; call committed() or rolled_back() after it, and restore() after a
  // savepoint was rolled back. A row that may be in the target is looked for there, by `reject.target_key`:
  // what the entry says that the target holds is what it held when the entry was written.
  postgres::Command hold(const TablePlan& plan, const Reject& reject, std::uint64_t sequence,
                         bool may_be_in_target);
  postgres::Command release(const std::string& source_table, const std::string& source_key);
  postgres::Command release_all(const std::string& source_table);
  void committed();
  void rolled_back() { pending_.clear(); }
  using Pending = std::unordered_map<std::string, bool>;  // by table, NUL, key: held or not
  const Pending& pending() const { return pending_; }
  void restore(Pending pending) { pending_ = std::move(pending); }

  std::uint64_t changes() const { return changes_; }  // entries that came or went, since the start
  // Whether a row was released since the last call; true at first, since a crash may have come before the
  // caller drew its conclusions.
  bool take_released() { return std::exchange(released_, false); }

 private:
  TargetSession& session_;
  std::unordered_set<std::string> held_;
  Pending pending_;
  std::uint64_t changes_ = 0;
  bool released_ = true;
};

// What an operator sees; read on any connection.
struct QuarantineEntry {
  std::int64_t id = 0;
  std::string source_table, source_key, target_table, column, reason, sqlstate, constraint, target_holds,
      state, accepted_reason, first_seen, last_seen;
  std::uint64_t sequence = 0;
  std::string key_bytes;
};
// Held rows by source table; accepted ones do not count.
std::map<std::string, std::uint64_t> count_quarantine(TargetSession& session);
// Marks rows (all held ones, where `ids` is empty) as left out for good. Returns how many.
std::int64_t accept_quarantine(postgres::Connection& target, const std::string& pipeline,
                               const std::vector<std::int64_t>& ids, const std::string& reason);
std::vector<QuarantineEntry> list_quarantine(postgres::Connection& target, const std::string& pipeline);

}  // namespace tidegate
