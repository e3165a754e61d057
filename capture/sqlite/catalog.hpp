// What a SQLite database holds: its tables for capture, and by name all that is not carried over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/sqlite.hpp"
#include "proto/table.hpp"

namespace tidegate::capture {

// One object or property that SourceTable does not carry. Kinds:
//   "view", "trigger" (detail: its table), "virtual table", "shadow table" (of a virtual table),
//   "temporary table" (_alembic_tmp_*: a migration that broke off, or is running now),
//   "excluded table" (by include and exclude), "unmatched pattern" (fits no table: a typing error?),
//   "conflict clause" (ON CONFLICT in a table's constraints), "deferred foreign key",
//   "unread definition" (detail: the part of CREATE TABLE that could not be followed; its CHECKs and
//   generated expressions may be missing).
struct CatalogNote {
  std::string kind, name, detail;
  bool operator==(const CatalogNote&) const = default;
};

struct DatabaseFacts {
  std::string encoding;  // UTF-8, UTF-16le, UTF-16be
  std::int64_t page_size = 0;
  std::int64_t user_version = 0;
  std::int64_t application_id = 0;
  std::string journal_mode;  // wal, delete, truncate, persist, memory, off
};

struct CatalogNotes {
  std::vector<CatalogNote> not_carried;
  DatabaseFacts database;
};

// The tables, by name. Reads within the caller's read transaction; without one the parts may disagree.
// `include` and `exclude` are globs (*, ?) on table names, case ignored; no include means all. `sqlite_*`,
// `_alembic_tmp_*` and `_tidegate_*` (made after the cutover) never are tables here.
// Throws Refused for a WITHOUT ROWID table in a UTF-16 database: its key's order and bytes are not ours.
std::vector<SourceTable> read_catalog(sqlite::Database& database, const std::vector<std::string>& include,
                                      const std::vector<std::string>& exclude, CatalogNotes* notes = nullptr);

// A name by which SQL reaches the table's rowid: "rowid", "_rowid_" or "oid", whichever is no column.
// Throws Refused where all three are columns. Not for WITHOUT ROWID tables: they have none.
std::string rowid_alias(const SourceTable& table);
bool has_rowid_alias(const SourceTable& table);

// Hex SHA-256 over all of the table but last_sequence. Layout and comments of its SQL do not count. Two equal
// fingerprints mean the same table; different ones may (keywords in another case, say).
std::string fingerprint(const SourceTable& table);

// `*` any run of characters, `?` one character; ASCII case ignored.
bool matches_glob(std::string_view pattern, std::string_view name);

}  // namespace tidegate::capture
