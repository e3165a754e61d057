#include "capture/sqlite/fence.hpp"

#include <fmt/format.h>

#include <array>

#include "capture/sqlite/write_lock.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate::capture {
namespace {

constexpr const char* fence_table = "_tidegate_fence";
constexpr const char* refusal =
    "tidegate: this database is read-only since the application has moved to another";
constexpr std::array<const char*, 3> events{"INSERT", "UPDATE", "DELETE"};

// Those that can have triggers: no virtual tables and none of their parts, which are written through them.
std::vector<std::string> fenced_tables(sqlite::Database& live) {
  std::vector<std::string> tables;
  auto found = live.prepare(
      "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE "
      "'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_tidegate\\_%' ESCAPE '\\' ORDER BY name");
  while (found.step()) tables.push_back(found.text(0));
  return tables;
}

std::string trigger_name(const std::string& table, const char* event) {
  return fmt::format("{}_{}_{}", fence_table, event, table);
}

// Whoever wrote it before has no more to say.
std::string live_side_sql(const std::string& run, const char* side) {
  return fmt::format(
      "DELETE FROM {0}; INSERT INTO {0} VALUES ('{1}', '{2}', strftime('%Y-%m-%dT%H:%M:%fZ'));\n",
      fence_table, run, side);
}

std::string drop_triggers_sql(sqlite::Database& live) {
  std::string sql;
  auto found = live.prepare(
      "SELECT name FROM main.sqlite_schema WHERE type = 'trigger' AND name LIKE '\\_tidegate\\_fence\\_%' "
      "ESCAPE '\\'");
  while (found.step()) sql += fmt::format("DROP TRIGGER {};\n", sqlite::quoted(found.text(0)));
  return sql;
}

bool has_fence_table(sqlite::Database& live) {
  return live.integer(
             "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = "
             "'_tidegate_fence'") > 0;
}

std::unique_ptr<sqlite::Transaction> locked(sqlite::Database& live, const std::string& path,
                                            std::chrono::milliseconds wait) {
  if (auto lock = take_write_lock(live, wait)) return lock;
  throw Error("the write lock of " + path + " was not to be had: another program holds it", "SQLITE_BUSY",
              Advice::retry);
}

}  // namespace

std::string fence_sql(sqlite::Database& live, const std::string& run) {
  std::string sql = fmt::format(
      "CREATE TABLE IF NOT EXISTS {0}(run TEXT NOT NULL, live TEXT NOT NULL, at TEXT NOT NULL);\n{1}",
      fence_table, live_side_sql(run, "target"));
  for (const auto& table : fenced_tables(live)) {
    for (const char* event : events) {
      sql += fmt::format(
          "CREATE TRIGGER IF NOT EXISTS {} BEFORE {} ON {} BEGIN SELECT RAISE(ABORT, '{}'); END;\n",
          sqlite::quoted(trigger_name(table, event)), event, sqlite::quoted(table), refusal);
    }
  }
  return sql;
}

std::string unfence_sql(sqlite::Database& live) {
  return drop_triggers_sql(live) + fmt::format("DROP TABLE IF EXISTS {};\n", fence_table);
}

void open_legacy(const std::string& path, const std::string& run, std::chrono::milliseconds wait) {
  sqlite::Database live(path, sqlite::Database::Mode::read_write, std::chrono::milliseconds(5000));
  live.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0");
  auto lock = locked(live, path, wait);
  if (opened_by(live) == run) return;
  live.execute(drop_triggers_sql(live) + live_side_sql(run, "source"));
  failpoint("rollback-before-open-commit");
  lock->commit();
  failpoint("rollback-after-open-commit");
}

std::optional<std::string> fenced_by(sqlite::Database& live) {
  if (!has_fence_table(live)) return std::nullopt;
  auto row = live.prepare("SELECT run, live = 'target' FROM _tidegate_fence");
  if (!row.step()) return "";
  return row.integer(1) != 0 ? std::optional(row.text(0)) : std::nullopt;
}

std::string opened_by(sqlite::Database& live) {
  if (!has_fence_table(live)) return "";
  auto row = live.prepare("SELECT run FROM _tidegate_fence WHERE live = 'source'");
  return row.step() ? row.text(0) : "";
}

std::vector<std::string> unfenced_tables(sqlite::Database& live) {
  std::vector<std::string> open;
  auto count = live.prepare(
      "SELECT count(*) FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 AND name IN "
      "('_tidegate_fence_INSERT_' || ?1, '_tidegate_fence_UPDATE_' || ?1, '_tidegate_fence_DELETE_' || ?1)");
  for (const auto& table : fenced_tables(live)) {
    count.bind(1, std::string_view(table));
    count.step();
    if (count.integer(0) != static_cast<std::int64_t>(events.size())) open.push_back(table);
    count.reset();
  }
  return open;
}

std::optional<std::string> settle_fence(const std::string& path, std::chrono::milliseconds wait) {
  // Who recovers the WAL after a kill holds every lock for a moment, and even a PRAGMA waits for it.
  sqlite::Database live(path, sqlite::Database::Mode::read_write, std::chrono::milliseconds(5000));
  live.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0");
  auto lock = locked(live, path, wait);
  auto run = fenced_by(live);
  if (run) return run;
  live.execute("PRAGMA user_version = " + std::to_string(live.integer("PRAGMA user_version")));
  lock->commit();
  failpoint("cutover-settled");
  return std::nullopt;
}

}  // namespace tidegate::capture
