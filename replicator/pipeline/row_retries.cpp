#include "replicator/pipeline/row_retries.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "apply/postgres/orphan_guard.hpp"
#include "apply/postgres/unowned_rows.hpp"
#include "replicator/pipeline/apply_status.hpp"

namespace tidegate {
namespace {

constexpr auto retry_pause = std::chrono::milliseconds(500);
constexpr std::string_view unique_violation = "23505", broken_reference = "23503";

}  // namespace

// Where `name` is a mapped relation: the table whose rows it takes.
std::string RowRetries::table_of(const std::string& name) const {
  const auto plan = session_.plans.find(name);
  return plan == session_.plans.end() ? name : plan->second.source_table();
}

std::uint64_t RowRetries::rewrite(const std::vector<RowName>& rows) {
  std::uint64_t written = 0;
  std::map<std::string, std::vector<UnownedRow>> unowned;  // by relation
  std::vector<std::pair<std::string, std::vector<Row>>>
      read_again;  // as they come, so that those that go first do
  for (const RowName& row : rows) {
    if (!row.version.empty()) {
      unowned[row.table].push_back({row.key, row.version});
      continue;
    }
    const std::string table = table_of(row.table);
    if (read_again.empty() || read_again.back().first != table) read_again.push_back({table, {}});
    read_again.back().second.push_back(row.key);
  }
  for (const auto& [relation, gone] : unowned) {
    if (const auto plan = session_.plans.find(relation); plan != session_.plans.end())
      written += remove_unowned(session_.target, session_.plans, plan->second, gone);
  }
  for (const auto& [table, keys] : read_again)
    written += session_.view->rewrite(table, keys, *session_.applier, session_.scene(), apply_once_);
  show_quarantine(coordination_, session_);
  return written;
}

Retried RowRetries::retry(const std::vector<std::int64_t>& ids) {
  Retried counts;
  for (const auto& entry : list_quarantine(session_.target.connection(), session_.target.pipeline())) {
    if (!ids.empty() && std::find(ids.begin(), ids.end(), entry.id) == ids.end()) continue;
    const std::string table = table_of(entry.source_table);
    if (!session_.view->can_read_again(table)) {
      counts.unreadable.insert(entry.source_table);
      continue;
    }
    if (is_key_of_target(entry.source_key)) continue;  // find_taken_out() sees to it
    ++counts.retried;
    if (session_.resyncs->is_held(table)) continue;
    if (session_.view->retry(entry, *session_.applier, session_.scene(), apply_once_)) ++counts.applied;
  }
  show_quarantine(coordination_, session_);
  return counts;
}

// A mapped row that waits for its parent or its owner: has the stream moved on since it was last tried?
bool RowRetries::others_may_have_come() {
  const auto now = Coordination::Clock::now();
  const auto at = session_.target.position().sequence;
  if (session_.mapping.empty() || at == retried_at_ || now < retry_from_) return false;
  retried_at_ = at;
  retry_from_ = now + retry_pause;
  return true;
}

// Rows that were taken out of the target with their parents (OrphanGuard) are looked for in the source and
// read again: then they are held by the source's key, and come back with their parents. One that is not found
// is gone there.
void RowRetries::find_taken_out() {
  const auto began = Coordination::Clock::now();
  if (session_.mapping.empty() || session_.quarantine.size() == 0 || began < search_from_) return;
  if (std::exchange(searched_, session_.quarantine.changes()) == session_.quarantine.changes()) return;
  search_from_ = began + retry_pause;
  std::vector<QuarantineEntry> entries;
  std::map<std::string, TargetKeys> keys;  // of owners by the target's table, of contributors by relation
  const auto place = [](const TablePlan& plan) { return plan.contributor ? plan.source : quoted_name(plan); };
  std::set<std::string> stopped;  // where the maps may not be able to read the table as it is
  for (const TablePlan& plan : session_.mapped_plans())
    if (session_.resyncs->is_held(plan.from)) stopped.insert(place(plan));
  for (auto& entry : list_quarantine(session_.target.connection(), session_.target.pipeline())) {
    const auto plan = session_.plans.find(entry.source_table);
    if (!is_key_of_target(entry.source_key) || plan == session_.plans.end()) continue;
    if (stopped.contains(place(plan->second))) continue;
    std::vector<std::string> key;
    for (const Value& literal : decode_row(entry.key_bytes)) key.push_back(std::get<std::string>(literal));
    keys[place(plan->second)].insert(std::move(key));
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) return;
  for (const TablePlan& plan : session_.mapped_plans()) {
    const auto wanted = keys.find(place(plan));
    if (wanted == keys.end()) continue;
    const auto found = session_.view->source_keys_of(session_.scene(), plan, wanted->second);
    session_.view->rewrite(plan.from, found, *session_.applier, session_.scene(), apply_once_);
  }
  forget(entries);
  search_from_ = Coordination::Clock::now() + 4 * (Coordination::Clock::now() - began);
}

// But for those that were taken out once more meanwhile.
void RowRetries::forget(const std::vector<QuarantineEntry>& entries) {
  TargetTransaction transaction(session_.target);
  for (const QuarantineEntry& entry : entries)
    session_.target.connection().run("DELETE FROM tidegate.quarantine WHERE id = $1 AND sequence = $2",
                                     {std::to_string(entry.id), std::to_string(entry.sequence)});
  transaction.commit();
  session_.quarantine.read_again();
  show_quarantine(coordination_, session_);
}

// A row in quarantine may leave its old values in the target, and others that have taken them over in the
// source are then refused. Once a row has left the quarantine they may fit; each pass frees one at least, or
// is the last. A row that was not found is read again at once.
void RowRetries::retry_conflicts() {
  find_taken_out();
  bool released = session_.quarantine.take_released();
  bool changed =
      std::exchange(quarantine_seen_, session_.quarantine.changes()) != session_.quarantine.changes();
  const bool moved = others_may_have_come();
  if ((!released && !changed && !moved) || session_.quarantine.size() == 0) return;
  std::vector<std::int64_t> ids;
  for (const auto& entry : list_quarantine(session_.target.connection(), session_.target.pipeline())) {
    bool conflict = entry.sqlstate == unique_violation || entry.sqlstate == broken_reference;
    bool missing = entry.reason == name_of(Misfit::row_missing);
    if (entry.state == "held" && (missing || ((released || moved) && conflict))) ids.push_back(entry.id);
  }
  if (!ids.empty()) retry(ids);
  quarantine_seen_ = session_.quarantine.changes();
}

void RowRetries::retry_held_of(const std::function<bool(const QuarantineEntry&)>& wanted) {
  std::vector<std::int64_t> ids;
  for (const auto& entry : list_quarantine(session_.target.connection(), session_.target.pipeline())) {
    if (entry.state == "held" && wanted(entry)) ids.push_back(entry.id);
  }
  if (!ids.empty()) retry(ids);
}

void RowRetries::retry_table(const std::string& table) {
  retry_held_of([&](const QuarantineEntry& entry) { return entry.source_table == table; });
}

void RowRetries::retry_held() {
  retry_held_of([](const QuarantineEntry&) { return true; });
}

}  // namespace tidegate
