#include "replicator/pipeline/row_retries.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

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
  for (const RowName& row : rows) {
    if (session_.view->rewrite(table_of(row.table), row.key, *session_.applier, session_.scene(),
                               apply_once_))
      ++written;
  }
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

// A row in quarantine may leave its old values in the target, and others that have taken them over in the
// source are then refused. Once a row has left the quarantine they may fit; each pass frees one at least, or
// is the last. A row that was not found is read again at once.
void RowRetries::retry_conflicts() {
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
