// An app that does all that an app may do to its file.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "db/sqlite.hpp"

namespace tidegate::testing_support {

class RandomApp {
 public:
  // What drops a table is not followed by capture, which asks an operator.
  enum class Drops { never, sometimes };
  RandomApp(sqlite::Database& database, std::uint64_t seed, Drops drops = Drops::sometimes)
      : db_(database), random_(seed), drops_(drops) {}

  void create_schema() {
    int tables = between(2, 6);
    for (int i = 0; i < tables; ++i) create_table();
    for (int i = 0; i < tables; ++i) insert(between(0, 1500), i);
  }

  void act() {
    int dice = between(0, 99);
    if (dice < 70) return transaction(true);
    if (dice < 78) return transaction(false);
    if (dice < 90) return checkpoint();
    if (dice < 96) return db_.execute("PRAGMA incremental_vacuum(" + std::to_string(between(1, 50)) + ")");
    if (dice < 97) return db_.execute("PRAGMA shrink_memory");
    if (between(0, 5) == 0) return vacuum_or_ddl();
    transaction(true);
  }

  void many_rows_at_once() {
    db_.execute("BEGIN");
    for (std::size_t i = 0; i < tables_.size(); ++i) insert(between(0, 800), static_cast<int>(i));
    db_.execute("COMMIT");
  }

 private:
  struct TableFacts {
    std::string name;
    bool keyed, long_rows, integer_key;
    int columns = 3;
  };

  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  void create_table() {
    std::string name = "t" + std::to_string(next_name_++);
    int kind = between(0, 9);
    std::string columns = kind == 0   ? "id INTEGER PRIMARY KEY, a, b"
                          : kind == 1 ? "id INTEGER PRIMARY KEY AUTOINCREMENT, a, b"
                          : kind == 2 ? "id TEXT PRIMARY KEY, a, b"
                          : kind == 3 ? "id TEXT PRIMARY KEY, a, b"
                          : kind == 4 ? "id INTEGER PRIMARY KEY, a UNIQUE, b"
                          : kind == 5 ? "id INTEGER, a TEXT, b, PRIMARY KEY (id, a)"
                          : kind == 6 ? "id TEXT NOT NULL PRIMARY KEY, a, b"
                          : kind == 7 ? "id NOT NULL PRIMARY KEY, a, b"
                          : kind == 8 ? "id TEXT COLLATE NOCASE NOT NULL, a NOT NULL, b, PRIMARY KEY (a, id)"
                                      : "id, a, b";
    bool keyed = kind == 3 || kind == 5;
    db_.execute("CREATE TABLE " + name + "(" + columns + (keyed ? ") WITHOUT ROWID" : ")"));
    tables_.push_back({name, keyed, between(0, 2) == 0, kind == 0 || kind == 1 || kind == 4});
    if (between(0, 1)) db_.execute("CREATE INDEX i" + name + " ON " + name + "(b)");
    if (between(0, 3) == 0) db_.execute("CREATE INDEX j" + name + " ON " + name + "(id, a)");
  }

  std::string bytes(const TableFacts& table) {
    int size = between(0, 60);
    if (table.long_rows && between(0, 2) == 0) size = between(100, between(0, 5) ? 3000 : 40000);
    return std::string(static_cast<std::size_t>(size), static_cast<char>('a' + between(0, 25)));
  }

  void insert(int count, int which) {
    if (which >= static_cast<int>(tables_.size())) return;
    const TableFacts& table = tables_[static_cast<std::size_t>(which)];
    std::string spread = between(0, 1) ? "" : "000000";
    auto insert = db_.prepare("INSERT OR IGNORE INTO " + table.name + "(id, a, b) VALUES (?, ?, ?)");
    for (int i = 0; i < count; ++i) {
      if (between(0, 3)) {
        insert.bind(1, static_cast<std::int64_t>(between(1, 50'000'000)) - (spread.empty() ? 0 : 40'000'000));
      } else {
        insert.bind(1, static_cast<std::int64_t>(++sequence_));
      }
      insert.bind(2, Value(bytes(table) + std::to_string(random_())));
      insert.bind(3, Value(bytes(table)));
      insert.run();
    }
  }

  // A number that differs from row to row; SQL's random() would not repeat.
  std::string scattered() {
    return "(unicode(a) * " + std::to_string(between(1, 997)) + " + length(a) * " +
           std::to_string(between(1, 997)) + " + substr(a, -4)) % 1009";
  }

  std::string some_rows(const TableFacts& table) {
    std::string key = table.keyed ? "id" : "rowid";
    std::string limit = std::to_string(between(0, 4) ? between(1, 5) : between(10, 400));
    std::string order = " ORDER BY " + (between(0, 2) ? scattered() : key);
    return key + " IN (SELECT " + key + " FROM " + table.name + order + " LIMIT " + limit + ")";
  }

  // Keeps the row's size and changes only its last byte: of a long row, only the last overflow page.
  void change_last_byte(const TableFacts& table) {
    std::string last = "char(97 + " + scattered() + " % 26)";
    db_.execute("UPDATE OR IGNORE " + table.name + " SET b = substr(b, 1, length(b) - 1) || " + last +
                " WHERE length(b) > 0 AND " + some_rows(table));
  }

  void move_rowids(const TableFacts& table) {
    if (!table.keyed) {
      db_.execute("UPDATE OR " + std::string(between(0, 2) ? "IGNORE " : "REPLACE ") + table.name +
                  " SET rowid = rowid + " + std::to_string(between(-3000, 3000)) + " WHERE " +
                  some_rows(table));
    }
  }

  // The key changes, in place or taking the place of another row's; some only their case or class.
  void change_keys(const TableFacts& table) {
    static constexpr const char* changes[] = {"id || 'x'", "upper(id) || 'A'", "lower(id)",
                                              "CAST(id AS REAL)", "id + 1"};
    db_.execute("UPDATE OR " + std::string(between(0, 1) ? "IGNORE " : "REPLACE ") + table.name +
                " SET id = " + changes[between(0, 4)] + " WHERE " + some_rows(table));
  }

  // A key that is there already is deleted and inserted with a new rowid.
  void insert_again(const TableFacts& table) {
    db_.execute("REPLACE INTO " + table.name + "(id, a, b) SELECT id, a, b FROM " + table.name + " WHERE " +
                some_rows(table));
  }

  // The greatest rowids are free again, for other keys.
  void take_the_last_rowids(int which) {
    const TableFacts& table = tables_[static_cast<std::size_t>(which)];
    std::string key = table.keyed ? "id" : "rowid";
    int count = between(1, 30);
    db_.execute("DELETE FROM " + table.name + " WHERE " + key + " IN (SELECT " + key + " FROM " + table.name +
                " ORDER BY " + key + " DESC LIMIT " + std::to_string(count) + ")");
    insert(count, which);
  }

  void rearrange(int which) {
    const TableFacts& table = tables_[static_cast<std::size_t>(which)];
    switch (between(0, 4)) {
      case 0:
        return move_rowids(table);
      case 1:
        return insert_again(table);
      case 2:
        return take_the_last_rowids(which);
      default:
        return table.integer_key ? move_rowids(table) : change_keys(table);
    }
  }

  void statement() {
    if (tables_.empty()) return;
    int which = between(0, static_cast<int>(tables_.size()) - 1);
    const TableFacts& table = tables_[static_cast<std::size_t>(which)];
    int dice = between(0, 99);
    if (dice < 25) return insert(between(1, between(0, 9) ? 4 : 300), which);
    if (dice < 40) return change_last_byte(table);
    if (dice < 60) return rearrange(which);
    if (dice < 75) {
      auto update = db_.prepare("UPDATE OR IGNORE " + table.name + " SET b = ? WHERE " + some_rows(table));
      update.bind(1, Value(bytes(table)));
      return update.run();
    }
    if (dice < 99) return db_.execute("DELETE FROM " + table.name + " WHERE " + some_rows(table));
    db_.execute("DELETE FROM " + table.name);
  }

  void transaction(bool commit) {
    db_.execute("PRAGMA cache_size = " +
                std::to_string(between(0, 1) ? 5 : 2000));  // small: spills into the WAL
    db_.execute("BEGIN");
    int statements = between(1, 6);
    for (int i = 0; i < statements; ++i) {
      bool undo = between(0, 5) == 0;
      if (undo) db_.execute("SAVEPOINT s");
      statement();
      if (undo) db_.execute("ROLLBACK TO s; RELEASE s");
    }
    db_.execute(commit ? "COMMIT" : "ROLLBACK");
  }

  void checkpoint() {
    static constexpr const char* kinds[] = {"PASSIVE", "FULL", "RESTART", "TRUNCATE"};
    auto run = db_.prepare(std::string("PRAGMA wal_checkpoint(") + kinds[between(0, 3)] + ")");
    run.step();
  }

  void vacuum_or_ddl() {
    int dice = between(0, 5);
    if (dice == 0) return db_.execute("VACUUM");
    if (dice == 1 || tables_.empty()) return create_table();
    std::size_t which = static_cast<std::size_t>(between(0, static_cast<int>(tables_.size()) - 1));
    TableFacts& table = tables_[which];
    if (dice == 2 && drops_ == Drops::never) return;
    if (dice == 2) {
      db_.execute("DROP TABLE " + table.name);
      tables_.erase(tables_.begin() + static_cast<std::ptrdiff_t>(which));
      return;
    }
    if (dice == 3) {
      std::string column = "c" + std::to_string(++table.columns);
      return db_.execute("ALTER TABLE " + table.name + " ADD COLUMN " + column + " DEFAULT 'x'");
    }
    if (dice == 4) return db_.execute("DROP INDEX IF EXISTS i" + table.name);
    db_.execute("CREATE INDEX IF NOT EXISTS i" + table.name + " ON " + table.name + "(b)");
  }

  sqlite::Database& db_;
  std::mt19937_64 random_;
  Drops drops_;
  std::vector<TableFacts> tables_;
  int next_name_ = 0;
  std::int64_t sequence_ = 0;
};

}  // namespace tidegate::testing_support
