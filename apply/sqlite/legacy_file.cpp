#include "apply/sqlite/legacy_file.hpp"

#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

// Longer than any reader of a file without WAL should take.
constexpr std::chrono::milliseconds busy_timeout{5000};

constexpr const char* make_tables =
    "CREATE TABLE IF NOT EXISTS _tidegate_position (one INTEGER PRIMARY KEY CHECK (one = 1),"
    " pipeline TEXT NOT NULL, incarnation TEXT NOT NULL, sequence INTEGER NOT NULL, digest TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS _tidegate_rejects (source_table TEXT NOT NULL, source_key TEXT NOT NULL,"
    " column_name TEXT NOT NULL, reason TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " first_seen TEXT NOT NULL DEFAULT (datetime('now')), PRIMARY KEY (source_table, source_key));"
    "CREATE TABLE IF NOT EXISTS _tidegate_keys (scope TEXT NOT NULL, key TEXT NOT NULL, answer TEXT NOT NULL,"
    " id INTEGER, PRIMARY KEY (scope, key)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS _tidegate_keys_by_answer ON _tidegate_keys (scope, answer)";

bool has_tables(sqlite::Database& legacy) {
  return legacy.integer("SELECT count(*) FROM sqlite_schema WHERE name = '_tidegate_rejects'") == 1;
}

}  // namespace

LegacyFile::LegacyFile(const std::string& path, std::string pipeline)
    : database_(path, sqlite::Database::Mode::read_write, busy_timeout), pipeline_(std::move(pipeline)) {
  database_.set_triggers_enabled(false);
  database_.execute("PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL; PRAGMA recursive_triggers = OFF");
}

void LegacyFile::begin(const Position& start) {
  sqlite::Transaction transaction(database_, sqlite::Transaction::Kind::immediate);
  find_position(start);
  if (position_.incarnation != start.incarnation || !is_of_our_pipeline()) {
    throw Refused("way-back-other-journal",
                  "the legacy file " + database_.path() +
                      " holds the position of another way back, of another pipeline or state directory",
                  "run the pipeline that it belongs to, with its state directory");
  }
  if (position_.sequence < start.sequence) {
    advance_to(start);
    position_ = start;
  }
  failpoint("back-before-begin-commit");
  transaction.commit();
  failpoint("back-after-begin-commit");
  read_rejects();
}

void LegacyFile::begin_anew(const Position& start) {
  sqlite::Transaction transaction(database_, sqlite::Transaction::Kind::immediate);
  find_position(start);
  if (!is_of_our_pipeline())
    throw Refused("way-back-other-journal",
                  "the legacy file " + database_.path() + " holds the way back of another pipeline",
                  "run the pipeline that it belongs to, with its state directory");
  database_.execute("DELETE FROM _tidegate_position; DELETE FROM _tidegate_rejects");
  find_position(start);
  failpoint("rebuild-before-position-commit");
  transaction.commit();
  failpoint("rebuild-after-position-commit");
  read_rejects();
}

// Makes the tables and the position where they are not there yet.
void LegacyFile::find_position(const Position& start) {
  database_.execute(make_tables);
  auto insert = database_.prepare("INSERT OR IGNORE INTO _tidegate_position VALUES (1, ?, ?, ?, ?)");
  insert.bind(1, std::string_view(pipeline_)).bind(2, std::string_view(start.incarnation));
  insert.bind(3, static_cast<std::int64_t>(start.sequence)).bind(4, std::string_view(start.digest)).run();
  position_ = read_position();
}

bool LegacyFile::is_of_our_pipeline() {
  return database_.text("SELECT pipeline FROM _tidegate_position") == pipeline_;
}

Position LegacyFile::read_position() {
  auto row = database_.prepare("SELECT incarnation, sequence, digest FROM _tidegate_position");
  if (!row.step())
    throw Error("the way back's position in " + database_.path() + " is gone", "", Advice::stop);
  return {row.text(0), static_cast<std::uint64_t>(row.integer(1)), row.text(2)};
}

void LegacyFile::enter() {
  if (read_position() == position_) return;
  throw Error("another process has moved the way back's position in " + database_.path(), "", Advice::stop);
}

void LegacyFile::advance_to(const Position& next) {
  auto update = database_.prepare("UPDATE _tidegate_position SET sequence = ?, digest = ?");
  update.bind(1, static_cast<std::int64_t>(next.sequence)).bind(2, std::string_view(next.digest)).run();
}

void LegacyFile::hold(const LegacyReject& reject) {
  auto insert = database_.prepare(
      "INSERT INTO _tidegate_rejects (source_table, source_key, column_name, reason, sequence) VALUES (?, ?, "
      "?, "
      "?, ?) ON CONFLICT DO UPDATE SET column_name = excluded.column_name, reason = excluded.reason,"
      " sequence = excluded.sequence");
  insert.bind_all(std::string_view(reject.table), std::string_view(reject.key),
                  std::string_view(reject.column), std::string_view(reject.reason),
                  static_cast<std::int64_t>(reject.sequence));
  insert.run();
  rejected_.emplace(reject.table, reject.key);
}

void LegacyFile::release(const std::string& table, const std::string& key) {
  if (rejected_.erase({table, key}) == 0) return;
  auto remove = database_.prepare("DELETE FROM _tidegate_rejects WHERE source_table = ? AND source_key = ?");
  remove.bind_all(std::string_view(table), std::string_view(key));
  remove.run();
}

void LegacyFile::read_rejects() {
  rejected_.clear();
  for (const auto& reject : list_rejects(database_)) rejected_.emplace(reject.table, reject.key);
}

std::optional<Position> position_in(sqlite::Database& legacy) {
  if (!has_tables(legacy)) return std::nullopt;
  auto row = legacy.prepare("SELECT incarnation, sequence, digest FROM _tidegate_position");
  if (!row.step()) return std::nullopt;
  return Position{row.text(0), static_cast<std::uint64_t>(row.integer(1)), row.text(2)};
}

std::vector<LegacyReject> list_rejects(sqlite::Database& legacy) {
  std::vector<LegacyReject> rejects;
  if (!has_tables(legacy)) return rejects;
  auto row = legacy.prepare(
      "SELECT source_table, source_key, column_name, reason, sequence FROM _tidegate_rejects ORDER BY 1, 2");
  while (row.step()) {
    rejects.push_back(
        {row.text(0), row.text(1), row.text(2), row.text(3), static_cast<std::uint64_t>(row.integer(4))});
  }
  return rejects;
}

void drop_legacy_tables(sqlite::Database& legacy) {
  legacy.execute(
      "DROP TABLE IF EXISTS _tidegate_position; DROP TABLE IF EXISTS _tidegate_rejects; "
      "DROP TABLE IF EXISTS _tidegate_keys");
}

}  // namespace tidegate
