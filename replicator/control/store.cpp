#include "replicator/control/store.hpp"

#include "replicator/journal/journal.hpp"

namespace tidegate {

ControlStore::ControlStore(const std::string& path) : database_(open_state(path)) {
  database_.execute(
      "CREATE TABLE IF NOT EXISTS plans (source TEXT PRIMARY KEY, plan TEXT NOT NULL);"
      "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
      "CREATE TABLE IF NOT EXISTS audit (id INTEGER PRIMARY KEY AUTOINCREMENT,"
      " at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')), action TEXT NOT NULL, by TEXT NOT NULL,"
      " reason TEXT NOT NULL, detail TEXT NOT NULL)");
}

std::vector<TablePlan> ControlStore::plans() {
  std::lock_guard lock(mutex_);
  std::vector<TablePlan> plans;
  auto rows = database_.prepare("SELECT plan FROM plans ORDER BY source");
  while (rows.step()) plans.push_back(plan_from_json(rows.bytes(0)));
  return plans;
}

void ControlStore::save_plans(const std::vector<TablePlan>& plans) {
  std::lock_guard lock(mutex_);
  sqlite::Transaction transaction(database_, sqlite::Transaction::Kind::immediate);
  database_.execute("DELETE FROM plans");
  auto insert = database_.prepare("INSERT INTO plans VALUES (?, ?)");
  for (const auto& plan : plans) {
    insert.bind(1, std::string_view(plan.source)).bind(2, std::string_view(to_json(plan))).run();
  }
  transaction.commit();
}

std::optional<std::string> ControlStore::fact(const std::string& name) {
  std::lock_guard lock(mutex_);
  auto row = database_.prepare("SELECT value FROM facts WHERE name = ?");
  row.bind(1, std::string_view(name));
  if (!row.step()) return std::nullopt;
  return row.text(0);
}

void ControlStore::set_fact(const std::string& name, const std::string& value) {
  std::lock_guard lock(mutex_);
  auto upsert = database_.prepare("INSERT INTO facts VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2");
  upsert.bind(1, std::string_view(name)).bind(2, std::string_view(value)).run();
}

void ControlStore::audit(const std::string& action, const std::string& by, const std::string& reason,
                         const std::string& detail) {
  std::lock_guard lock(mutex_);
  auto insert = database_.prepare("INSERT INTO audit(action, by, reason, detail) VALUES (?, ?, ?, ?)");
  insert.bind(1, std::string_view(action)).bind(2, std::string_view(by));
  insert.bind(3, std::string_view(reason)).bind(4, std::string_view(detail)).run();
}

}  // namespace tidegate
