#include "apply/postgres/quarantine.hpp"

#include "apply/postgres/statements.hpp"

namespace tidegate {
namespace {

std::string held_name(const std::string& table, const std::string& key) {
  return table + '\0' + key;
}

}  // namespace

Quarantine::Quarantine(TargetSession& session) : session_(session) {
  read_again();
}

void Quarantine::read_again() {
  held_.clear();
  ++changes_;
  auto rows = session_.connection().run(
      "SELECT source_table, source_key FROM tidegate.quarantine WHERE pipeline = $1", {session_.pipeline()});
  for (int i = 0; i < rows.rows(); ++i) {
    held_.insert(held_name(std::string(rows.text(i, 0)), std::string(rows.text(i, 1))));
  }
}

bool Quarantine::holds(const std::string& table, const std::string& key) const {
  std::string name = held_name(table, key);
  auto changed = pending_.find(name);
  return changed == pending_.end() ? held_.contains(name) : changed->second;
}

postgres::Command Quarantine::hold(const TablePlan& plan, const Reject& reject, std::uint64_t sequence,
                                   bool may_be_in_target) {
  pending_[held_name(plan.source, reject.source_key)] = true;
  const bool look = may_be_in_target && !reject.target_key.empty();
  std::string holds = may_be_in_target ? "'old row'" : "'none'";
  if (look)
    holds = "CASE WHEN EXISTS (SELECT FROM " + quoted_name(plan) + " AS t, " + matching_keys(plan, 11) +
            ") THEN 'old row' ELSE 'none' END";
  postgres::Command command{
      "INSERT INTO tidegate.quarantine AS q (pipeline, source_table, source_key, target_table, column_name, "
      "reason,"
      " sqlstate, constraint_name, sequence, key_bytes, target_holds)"
      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, " +
          holds +
          ") ON CONFLICT (pipeline, source_table, source_key) DO UPDATE SET column_name = "
          "excluded.column_name,"
          " reason = excluded.reason, sqlstate = excluded.sqlstate, constraint_name = "
          "excluded.constraint_name,"
          " sequence = excluded.sequence, state = 'held', accepted_reason = NULL, last_seen = now(),"
          " target_holds = excluded.target_holds",
      {session_.pipeline(), plan.source, reject.source_key, shown_name(plan), reject.column, reject.reason,
       reject.sqlstate, reject.constraint, std::to_string(sequence), postgres::bytea(reject.key_bytes)}};
  if (look)
    command.parameters.insert(command.parameters.end(), reject.target_key.begin(), reject.target_key.end());
  return command;
}

postgres::Command Quarantine::release(const std::string& table, const std::string& key) {
  pending_[held_name(table, key)] = false;
  return {"DELETE FROM tidegate.quarantine WHERE pipeline = $1 AND source_table = $2 AND source_key = $3",
          {session_.pipeline(), table, key}};
}

postgres::Command Quarantine::release_all(const std::string& table) {
  const std::string prefix = held_name(table, "");
  for (const auto& name : held_) {
    if (name.starts_with(prefix)) pending_[name] = false;
  }
  for (auto& [name, held] : pending_) held = held && !name.starts_with(prefix);
  return {"DELETE FROM tidegate.quarantine WHERE pipeline = $1 AND source_table = $2",
          {session_.pipeline(), table}};
}

void Quarantine::committed() {
  for (const auto& [name, held] : pending_) {
    if (held) {
      held_.insert(name);
    } else {
      held_.erase(name);
      released_ = true;
    }
    ++changes_;
  }
  pending_.clear();
}

std::map<std::string, std::uint64_t> count_quarantine(TargetSession& session) {
  auto rows = session.connection().run(
      "SELECT source_table, count(*) FROM tidegate.quarantine WHERE pipeline = $1 AND state = 'held' GROUP "
      "BY 1",
      {session.pipeline()});
  std::map<std::string, std::uint64_t> counts;
  for (int i = 0; i < rows.rows(); ++i) {
    counts.emplace(rows.text(i, 0), static_cast<std::uint64_t>(rows.integer(i, 1)));
  }
  return counts;
}

std::int64_t accept_quarantine(postgres::Connection& target, const std::string& pipeline,
                               const std::vector<std::int64_t>& ids, const std::string& reason) {
  std::string array = "{";
  for (auto id : ids) array += (array.size() > 1 ? "," : "") + std::to_string(id);
  return target
      .run(
          "UPDATE tidegate.quarantine SET state = 'accepted', accepted_reason = $2 WHERE pipeline = $1"
          " AND state = 'held' AND ($3::bigint[] = '{}' OR id = ANY ($3::bigint[]))",
          {pipeline, reason, array + "}"})
      .affected();
}

std::vector<QuarantineEntry> list_quarantine(postgres::Connection& target, const std::string& pipeline) {
  auto rows = target.run(
      "SELECT id, source_table, source_key, target_table, column_name, reason, sqlstate, constraint_name, "
      "target_holds,"
      " state, coalesce(accepted_reason, ''), to_char(first_seen, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
      " to_char(last_seen, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), sequence"
      ", key_bytes FROM tidegate.quarantine WHERE pipeline = $1 ORDER BY id",
      {pipeline});
  std::vector<QuarantineEntry> entries;
  for (int i = 0; i < rows.rows(); ++i) {
    auto text = [&](int column) { return std::string(rows.text(i, column)); };
    entries.push_back({rows.integer(i, 0), text(1), text(2), text(3), text(4), text(5), text(6), text(7),
                       text(8), text(9), text(10), text(11), text(12),
                       static_cast<std::uint64_t>(rows.integer(i, 13)),
                       postgres::from_bytea(rows.text(i, 14))});
  }
  return entries;
}

}  // namespace tidegate
