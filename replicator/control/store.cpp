#include "replicator/control/store.hpp"

#include <filesystem>

#include "replicator/journal/journal.hpp"

namespace tidegate {
namespace {

std::vector<AuditEntry> read_audit(sqlite::Database& database) {
  std::vector<AuditEntry> entries;
  auto rows = database.prepare(
      "SELECT id, at, action, by, reason, before, after, detail, hash FROM audit ORDER BY id");
  while (rows.step()) {
    entries.push_back({rows.integer(0), rows.text(1), rows.text(2), rows.text(3), rows.text(4), rows.text(5),
                       rows.text(6), rows.text(7), rows.text(8)});
  }
  return entries;
}

std::optional<AuditHead> read_audit_head(sqlite::Database& database) {
  auto row = database.prepare("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1");
  if (!row.step()) return std::nullopt;
  return AuditHead{row.integer(0), row.text(1)};
}

std::string now_of(sqlite::Database& database) {
  auto row = database.prepare("SELECT strftime('%Y-%m-%dT%H:%M:%fZ')");
  row.step();
  return row.text(0);
}

std::optional<std::string> fact_in(sqlite::Database& database, const std::string& name) {
  auto row = database.prepare("SELECT value FROM facts WHERE name = ?");
  row.bind(1, std::string_view(name));
  if (!row.step()) return std::nullopt;
  return row.text(0);
}

void insert_audit(sqlite::Database& database, const AuditEntry& entry) {
  auto insert = database.prepare(
      "INSERT INTO audit(id, at, action, by, reason, before, after, detail, hash) VALUES (?, ?, ?, ?, ?, ?, "
      "?, ?, ?)");
  insert.bind(1, entry.id);
  int place = 2;
  for (const auto* text : {&entry.at, &entry.action, &entry.by, &entry.reason, &entry.before, &entry.after,
                           &entry.detail, &entry.hash})
    insert.bind(place++, std::string_view(*text));
  insert.run();
}

}  // namespace

ControlStore::ControlStore(const std::string& path) : database_(open_state(path)) {
  database_.execute(
      "CREATE TABLE IF NOT EXISTS plans (source TEXT PRIMARY KEY, plan TEXT NOT NULL);"
      "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
      "CREATE TABLE IF NOT EXISTS audit (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL,"
      " action TEXT NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL)");
  chain_older_entries();
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
  return fact_in(database_, name);
}

std::optional<std::string> look_at_fact(const std::string& path, const std::string& name) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  auto database = look_at_state(path);
  if (database.integer("SELECT count(*) FROM main.sqlite_schema WHERE name = 'facts'") == 0)
    return std::nullopt;
  return fact_in(database, name);
}

void ControlStore::set_fact(const std::string& name, const std::string& value) {
  std::lock_guard lock(mutex_);
  auto upsert = database_.prepare("INSERT INTO facts VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2");
  upsert.bind(1, std::string_view(name)).bind(2, std::string_view(value)).run();
}

// Of a state directory whose audit was not chained yet.
void ControlStore::chain_older_entries() {
  sqlite::Transaction transaction(database_, sqlite::Transaction::Kind::immediate);
  auto chained = database_.prepare("SELECT 1 FROM pragma_table_info('audit') WHERE name = 'hash'");
  if (chained.step()) return;
  database_.execute(
      "ALTER TABLE audit ADD COLUMN before TEXT NOT NULL DEFAULT '';"
      "ALTER TABLE audit ADD COLUMN after TEXT NOT NULL DEFAULT '';"
      "ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT ''");
  std::string previous;
  auto update = database_.prepare("UPDATE audit SET hash = ?2 WHERE id = ?1");
  for (const auto& entry : read_audit(database_)) {
    previous = chained_hash(previous, entry);
    update.bind(1, entry.id).bind(2, std::string_view(previous)).run();
  }
  transaction.commit();
}

void ControlStore::audit(const std::string& action, const std::string& by, const std::string& reason,
                         const std::string& detail, const std::string& before, const std::string& after) {
  std::lock_guard lock(mutex_);
  sqlite::Transaction transaction(database_, sqlite::Transaction::Kind::immediate);
  auto last = read_audit_head(database_);
  AuditEntry entry{last ? last->id + 1 : 1, now_of(database_), action, by, reason, before, after, detail, {}};
  entry.hash = chained_hash(last ? last->hash : "", entry);
  insert_audit(database_, entry);
  transaction.commit();
}

std::vector<AuditEntry> ControlStore::audit_entries() {
  std::lock_guard lock(mutex_);
  return read_audit(database_);
}

std::optional<AuditHead> ControlStore::audit_head() {
  std::lock_guard lock(mutex_);
  return read_audit_head(database_);
}

}  // namespace tidegate
