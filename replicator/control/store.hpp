// control.db: what the daemon decided and did. A file of its own, so that a cutover's step never waits for
// capture's long transactions. Usable from any thread.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "db/sqlite.hpp"
#include "replicator/control/audit.hpp"

namespace tidegate {

class ControlStore {
 public:
  explicit ControlStore(const std::string& path);

  // The plans as the operator approved them, before anything is written to the target. Saved all at once.
  std::vector<TablePlan> plans();
  void save_plans(const std::vector<TablePlan>& plans);

  std::optional<std::string> fact(const std::string& name);
  void set_fact(const std::string& name, const std::string& value);

  // One entry of the audit: a command that changes something, by whom, and why; chained to the one before,
  // which another process may have written. Durable when it returns.
  void audit(const std::string& action, const std::string& by, const std::string& reason,
             const std::string& detail, const std::string& before = "", const std::string& after = "");
  std::vector<AuditEntry> audit_entries();
  // Of the newest entry; absent where there is none.
  std::optional<AuditHead> audit_head();

 private:
  void chain_older_entries();

  std::mutex mutex_;
  sqlite::Database database_;
};

// The same as fact(), for a look from another process than the daemon: changes nothing. Absent too where
// there is no such file.
std::optional<std::string> look_at_fact(const std::string& path, const std::string& name);

}  // namespace tidegate
