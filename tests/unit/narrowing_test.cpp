// Narrowing against real SQLite files: whatever a writer does between two cuts, every row that differs must
// lie in the look. The random tests print their seed; TIDEGATE_SEED repeats one, TIDEGATE_TEST_ROUNDS
// makes them longer.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "capture/sqlite/narrowing/snapshot_chain.hpp"
#include "db/error.hpp"

namespace tidegate::sqlite_wal {
namespace {

using sqlite::Database;
using sqlite::Statement;
using std::chrono::milliseconds;

class TemporaryDatabase {
 public:
  TemporaryDatabase() {
    std::string pattern = (std::filesystem::temp_directory_path() / "narrowing-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    path = directory_ + "/app.db";
  }
  ~TemporaryDatabase() { std::filesystem::remove_all(directory_); }
  std::string path;

 private:
  std::string directory_;
};

Database writer_of(const std::string& path) {
  Database writer(path, Database::Mode::create, milliseconds(5000));
  writer.execute("PRAGMA synchronous = OFF");
  return writer;
}

Database wal_writer_of(const std::string& path) {
  Database writer = writer_of(path);
  writer.execute("PRAGMA journal_mode = WAL");
  return writer;
}

std::uint64_t digest(const Statement& row, int first_column) {
  std::uint64_t hash = 1469598103934665603ULL;
  auto mix = [&](std::string_view bytes) {
    for (unsigned char c : bytes) hash = (hash ^ c) * 1099511628211ULL;
    hash = (hash ^ 0xff) * 1099511628211ULL;
  };
  for (int i = first_column; i < row.columns(); ++i) {
    Value value = row.value(i);
    mix(std::to_string(value.index()));
    if (auto* real = std::get_if<double>(&value)) {
      mix({reinterpret_cast<const char*>(real), sizeof *real});
    } else if (!row.is_null(i)) {
      mix(row.bytes(i));
    }
  }
  return hash;
}

// All rows of one snapshot, by table; a table WITHOUT ROWID under the digests of its rows.
struct Contents {
  struct TableRows {
    bool keyed = false;
    std::map<std::int64_t, std::uint64_t> rows;
  };
  std::map<std::string, TableRows> tables;
};

Contents read_contents(Database& database) {
  Contents contents;
  std::vector<std::pair<std::string, bool>> tables;
  auto list = database.prepare(
      "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT IN "
      "('sqlite_schema', 'sqlite_temp_schema')");
  while (list.step()) tables.emplace_back(list.text(0), list.integer(1) != 0);
  for (const auto& [name, keyed] : tables) {
    auto& table = contents.tables[name];
    table.keyed = keyed;
    auto rows =
        database.prepare((keyed ? "SELECT 0, * FROM " : "SELECT rowid, * FROM ") + sqlite::quoted(name));
    while (rows.step()) {
      std::uint64_t hash = digest(rows, 1);
      table.rows[keyed ? static_cast<std::int64_t>(hash) : rows.integer(0)] = hash;
    }
  }
  return contents;
}

bool looks_at(const Look& look, const std::string& table, std::int64_t rowid, bool keyed) {
  if (look.everything) return true;
  auto found = look.tables.find(table);
  if (found == look.tables.end()) return false;
  if (found->second.whole) return true;
  return !keyed && std::any_of(found->second.ranges.begin(), found->second.ranges.end(),
                               [&](RowidRange r) { return r.first <= rowid && rowid <= r.last; });
}

// Every row that is in one of the two only, or differs, and is not looked at.
std::vector<std::string> missed(const Contents& before, const Contents& after, const Look& look) {
  std::vector<std::string> out;
  auto compare = [&](const Contents& one, const Contents& other) {
    for (const auto& [name, table] : one.tables) {
      auto there = other.tables.find(name);
      for (const auto& [rowid, hash] : table.rows) {
        bool same = false;
        if (there != other.tables.end()) {
          auto row = there->second.rows.find(rowid);
          same = row != there->second.rows.end() && row->second == hash;
        }
        if (!same && !looks_at(look, name, rowid, table.keyed))
          out.push_back(name + " " + std::to_string(rowid));
      }
    }
  };
  compare(before, after);
  compare(after, before);
  return out;
}

struct Selectivity {
  std::uint64_t rows = 0, looked_at = 0, changed = 0, cuts = 0, everything = 0;
  std::map<std::string, int> reasons;

  void count(const Contents& before, const Contents& after, const Look& look) {
    ++cuts;
    if (look.everything) {
      ++everything;
      ++reasons[look.reason];
      return;
    }
    for (const auto& [name, table] : after.tables) {
      rows += table.rows.size();
      auto old = before.tables.find(name);
      for (const auto& [rowid, hash] : table.rows) {
        looked_at += looks_at(look, name, rowid, table.keyed);
        if (old == before.tables.end()) continue;
        auto row = old->second.rows.find(rowid);
        changed += row == old->second.rows.end() || row->second != hash;
      }
    }
  }

  void print(const std::string& name) const {
    std::cout << name << ": " << cuts << " cuts, " << everything << " looked everywhere";
    for (const auto& [reason, times] : reasons) std::cout << "; " << times << " x " << reason;
    double share = rows ? 100.0 * static_cast<double>(looked_at) / static_cast<double>(rows) : 0;
    double needed = rows ? 100.0 * static_cast<double>(changed) / static_cast<double>(rows) : 0;
    std::cout << "\n  of the others: " << share << " % of the rows looked at, " << needed
              << " % had changed\n";
  }
};

std::uint64_t seed() {
  const char* given = std::getenv("TIDEGATE_SEED");
  return given ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

int rounds(int usual) {
  const char* given = std::getenv("TIDEGATE_TEST_ROUNDS");
  return given ? std::atoi(given) : usual;
}

// An app that does all that an app may do to its file.
class RandomApp {
 public:
  RandomApp(Database& database, std::uint64_t seed) : db_(database), random_(seed) {}

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
    bool keyed, long_rows;
    int columns = 3;
  };

  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  void create_table() {
    std::string name = "t" + std::to_string(next_name_++);
    int kind = between(0, 6);
    std::string columns = kind == 0   ? "id INTEGER PRIMARY KEY, a, b"
                          : kind == 1 ? "id INTEGER PRIMARY KEY AUTOINCREMENT, a, b"
                          : kind == 2 ? "id TEXT PRIMARY KEY, a, b"
                          : kind == 3 ? "id TEXT PRIMARY KEY, a, b"
                          : kind == 4 ? "id INTEGER PRIMARY KEY, a UNIQUE, b"
                          : kind == 5 ? "id INTEGER, a TEXT, b, PRIMARY KEY (id, a)"
                                      : "id, a, b";
    bool keyed = kind == 3 || kind == 5;
    db_.execute("CREATE TABLE " + name + "(" + columns + (keyed ? ") WITHOUT ROWID" : ")"));
    tables_.push_back({name, keyed, between(0, 2) == 0});
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
      db_.execute("UPDATE OR IGNORE " + table.name + " SET rowid = rowid + " +
                  std::to_string(between(-3000, 3000)) + " WHERE " + some_rows(table));
    }
  }

  void statement() {
    if (tables_.empty()) return;
    int which = between(0, static_cast<int>(tables_.size()) - 1);
    const TableFacts& table = tables_[static_cast<std::size_t>(which)];
    int dice = between(0, 99);
    if (dice < 25) return insert(between(1, between(0, 9) ? 4 : 300), which);
    if (dice < 45) return change_last_byte(table);
    if (dice < 55) return move_rowids(table);
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

  Database& db_;
  std::mt19937_64 random_;
  std::vector<TableFacts> tables_;
  int next_name_ = 0;
  std::int64_t sequence_ = 0;
};

// One file, many cuts.
void run_random_app(std::uint64_t seed, int cuts, Selectivity& selectivity) {
  std::mt19937_64 random(seed);
  TemporaryDatabase file;
  Database writer = writer_of(file.path);
  int page_size = 512 << (random() % 8);
  static constexpr const char* vacuums[] = {"NONE", "FULL", "INCREMENTAL"};
  std::string vacuum = vacuums[random() % 3];
  writer.execute("PRAGMA page_size = " + std::to_string(page_size) + "; PRAGMA auto_vacuum = " + vacuum);
  writer.execute("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = " + std::to_string(random() % 200));
  writer.execute("PRAGMA busy_timeout = 0");
  SCOPED_TRACE("seed " + std::to_string(seed) + ", page size " + std::to_string(page_size) +
               ", auto_vacuum " + vacuum);
  RandomApp app(writer, random());
  app.create_schema();

  SnapshotChain::Options options;
  options.checkpoint_from = random() % 2 ? 64 << 20 : 100'000;
  options.writers_wait = random() % 2;
  options.wal_bound = random() % 5 ? 64 << 20 : 200'000;
  options.patience = milliseconds(0);
  SnapshotChain chain(file.path, options);
  Contents before, last;
  for (int i = 0; i < cuts; ++i) {
    for (auto actions = random() % 4; actions > 0; --actions) app.act();
    if (random() % 40 == 0) app.many_rows_at_once();
    bool told = chain.changed();
    auto cut = chain.next();
    Contents after = read_contents(cut.connection);
    auto rows = missed(before, after, cut.look);
    ASSERT_TRUE(rows.empty()) << rows.size() << " rows missed at cut " << i << ", the first is "
                              << rows.front();
    ASSERT_TRUE(told || missed(last, after, Look{}).empty()) << "a change went unnoticed at cut " << i;
    last = after;
    if (random() % 10 == 0) continue;  // not applied: stays part of the next look
    selectivity.count(before, after, cut.look);
    before = std::move(after);
    chain.accept();
    if (random() % 100 == 0) chain.release();
    if (random() % 4 == 0) chain.tend();
  }
}

TEST(Narrowing, RandomAppNeverChangesARowUnseen) {
  std::uint64_t first = seed();
  std::cout << "seed " << first << "\n";
  Selectivity selectivity;
  for (int i = 0; i < rounds(6) && !::testing::Test::HasFatalFailure(); ++i) {
    run_random_app(first + static_cast<std::uint64_t>(i), 60, selectivity);
  }
  selectivity.print("random app");
}

// A writer in a process of its own, so that cuts fall between any two of its steps. It must be started before
// this process opens the file: a child would inherit SQLite's notion of which locks it holds.
class WriterProcess {
 public:
  WriterProcess(const std::string& path, std::uint64_t seed) {
    if (pipe(ready_) != 0) throw std::runtime_error("no pipe");
    child_ = fork();
    if (child_ == 0) write_until_killed(path, seed);
    char byte;
    if (read(ready_[0], &byte, 1) != 1) throw std::runtime_error("the writer did not start");
  }
  ~WriterProcess() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    close(ready_[0]);
    close(ready_[1]);
  }

 private:
  [[noreturn]] void write_until_killed(const std::string& path, std::uint64_t seed) {
    try {
      Database writer = wal_writer_of(path);
      writer.execute("PRAGMA busy_timeout = 30; PRAGMA wal_autocheckpoint = 20");
      RandomApp app(writer, seed);
      app.create_schema();
      if (write(ready_[1], "r", 1) != 1) _exit(1);
      while (true) act(writer, app);
    } catch (const std::exception& error) {
      std::cerr << "writer: " << error.what() << std::endl;
      _exit(1);
    }
  }

  static void act(Database& writer, RandomApp& app) {
    try {
      app.act();
    } catch (const Error& error) {
      if (error.advice() != Advice::retry) throw;
      if (writer.in_transaction()) writer.execute("ROLLBACK");
    }
  }

  int ready_[2];
  pid_t child_;
};

void follow_writer_process(std::uint64_t seed, const SnapshotChain::Options& options,
                           Selectivity& selectivity) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  TemporaryDatabase file;
  WriterProcess writer(file.path, seed);
  SnapshotChain chain(file.path, options);
  Contents before;
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(rounds(2));
  while (std::chrono::steady_clock::now() < end) {
    if (!chain.changed()) {
      chain.tend();
      continue;
    }
    auto cut = chain.next();
    Contents after = read_contents(cut.connection);
    auto rows = missed(before, after, cut.look);
    ASSERT_TRUE(rows.empty()) << rows.size() << " rows missed, the first is " << rows.front();
    selectivity.count(before, after, cut.look);
    before = std::move(after);
    chain.accept();
  }
  const auto& counts = chain.counts();
  std::cout << counts.resets_seen << " resets of the WAL, " << counts.checkpoints << " checkpoints, "
            << counts.barriers << " barriers, " << counts.let_go << " times let go\n";
}

TEST(Narrowing, AWriterProcessNeverChangesARowUnseen) {
  std::uint64_t first = seed();
  std::cout << "seed " << first << "\n";
  for (bool writers_wait : {true, false}) {
    SnapshotChain::Options options;
    options.writers_wait = writers_wait;
    options.checkpoint_from = 150'000;
    options.wal_bound = 300'000;
    options.patience = milliseconds(20);
    Selectivity selectivity;
    follow_writer_process(first, options, selectivity);
    selectivity.print(writers_wait ? "writers wait" : "writers upgrade");
  }
}

// How many of a table's rows are looked at, in percent.
double share_looked_at(Database& snapshot, const Look& look, const std::string& table) {
  auto all = static_cast<double>(snapshot.integer("SELECT count(*) FROM " + table));
  if (look.everything) return 100;
  auto found = look.tables.find(table);
  if (found == look.tables.end()) return 0;
  if (found->second.whole) return 100;
  double rows = 0;
  for (RowidRange range : found->second.ranges) {
    auto count = snapshot.prepare("SELECT count(*) FROM " + table + " WHERE rowid BETWEEN ? AND ?");
    count.bind_all(range.first, range.last);
    count.step();
    rows += static_cast<double>(count.integer(0));
  }
  return 100 * rows / all;
}

std::string filled(const std::string& columns, int rows) {
  return "CREATE TABLE item(" + columns + "); CREATE TABLE other(id INTEGER PRIMARY KEY, a, b); " +
         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(rows) +
         ") INSERT INTO item SELECT i, 'name of ' || i, hex(zeroblob(40)) FROM n; " +
         "INSERT INTO other SELECT * FROM item LIMIT 5000; ";
}

struct OneChange {
  const char* sql;
  double most_percent;
};

void expect_small_looks(const char* columns, const std::vector<OneChange>& changes) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute(filled(columns, 200'000));
  SnapshotChain chain(file.path, {});
  chain.next();
  chain.accept();
  for (const OneChange& change : changes) {
    SCOPED_TRACE(change.sql);
    writer.execute(change.sql);
    auto start = std::chrono::steady_clock::now();
    auto cut = chain.next();
    std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    double share = share_looked_at(cut.connection, cut.look, "item");
    std::cout << change.sql << ": " << share << " % of 200,000 rows, " << took.count() << " ms\n";
    EXPECT_FALSE(cut.look.everything) << cut.look.reason;
    EXPECT_FALSE(cut.look.tables.contains("other"));
    EXPECT_TRUE(cut.look.tables.contains("item"));
    EXPECT_LT(share, change.most_percent);
    chain.accept();
  }
}

TEST(Narrowing, SmallChangesAreLookedForInSmallPlaces) {
  expect_small_looks("id INTEGER PRIMARY KEY, a, b",
                     {{"UPDATE item SET a = 'x' WHERE id = 77777", 0.1},
                      {"DELETE FROM item WHERE id = 123456", 0.1},
                      {"INSERT INTO item(a) VALUES ('new')", 0.1},
                      {"UPDATE item SET b = zeroblob(3000) WHERE id = 77777", 0.1},
                      {"DELETE FROM item WHERE id BETWEEN 1000 AND 3000", 0.1},
                      {"UPDATE item SET a = 'y' WHERE id % 20000 = 0", 0.5}});
}

TEST(Narrowing, SmallChangesOfATableWithATextKeyAreLookedForByRowid) {
  expect_small_looks("id TEXT PRIMARY KEY, a, b", {{"UPDATE item SET a = 'x' WHERE id = '77777'", 0.1},
                                                   {"UPDATE item SET id = 'moved' WHERE id = '9'", 0.1},
                                                   {"INSERT INTO item(id) VALUES ('new')", 0.1}});
}

// The writes touch one overflow page each, which names neither its table nor its row.
TEST(Narrowing, AChangeAtTheFarEndOfALongRowIsPlaced) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 20'000));
  writer.execute("UPDATE item SET b = zeroblob(9000) || 'tail' WHERE id % 100 = 0");
  SnapshotChain chain(file.path, {});
  chain.next();
  chain.accept();
  for (int id : {100, 5000, 20'000}) {
    writer.execute("UPDATE item SET b = zeroblob(9000) || 'TAIL' WHERE id = " + std::to_string(id));
    auto cut = chain.next();
    ASSERT_FALSE(cut.look.everything) << cut.look.reason;
    auto found = cut.look.tables.find("item");
    ASSERT_TRUE(found != cut.look.tables.end());
    EXPECT_EQ(found->second.ranges, std::vector<RowidRange>({{id, id}}));
    chain.accept();
  }
}

TEST(Narrowing, OnlyATableWithoutRowidThatWasWrittenIsWhole) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute("CREATE TABLE k(id TEXT PRIMARY KEY, a) WITHOUT ROWID");
  writer.execute("CREATE TABLE l(id TEXT PRIMARY KEY, a) WITHOUT ROWID");
  writer.execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
      "INSERT INTO k SELECT 'key' || i, i FROM n; INSERT INTO l SELECT * FROM k");
  SnapshotChain chain(file.path, {});
  chain.next();
  chain.accept();
  writer.execute("UPDATE k SET a = 'x' WHERE id = 'key77'");
  auto cut = chain.next();
  ASSERT_FALSE(cut.look.everything) << cut.look.reason;
  EXPECT_EQ(cut.look.tables.size(), 1U);
  EXPECT_TRUE(cut.look.tables.contains("k") && cut.look.tables.at("k").whole);
}

// ADD COLUMN with a default changes every row and writes page 1 alone.
TEST(Narrowing, ASchemaChangeLooksEverywhere) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain chain(file.path, {});
  chain.next();
  chain.accept();
  for (const char* sql : {"ALTER TABLE item ADD COLUMN c DEFAULT 7", "VACUUM", "CREATE INDEX i ON item(a)"}) {
    writer.execute(sql);
    auto cut = chain.next();
    EXPECT_TRUE(cut.look.everything) << sql;
    chain.accept();
    writer.execute("UPDATE item SET a = a || 'x' WHERE id = 5");
    EXPECT_FALSE(chain.next().look.everything) << "after " << sql;
    chain.accept();
  }
}

// Frames that a transaction spilled and then took back are in the file, but were never committed.
TEST(SnapshotChain, WhatWasRolledBackIsNotLookedAt) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 20'000));
  SnapshotChain chain(file.path, {});
  chain.next();
  chain.accept();
  auto size = std::filesystem::file_size(file.path + "-wal");
  writer.execute("PRAGMA cache_size = 5; BEGIN; UPDATE item SET a = 'x'");
  EXPECT_GT(std::filesystem::file_size(file.path + "-wal"), size);
  EXPECT_FALSE(chain.changed());
  EXPECT_TRUE(chain.next().look.nowhere());
  writer.execute("ROLLBACK");
  EXPECT_FALSE(chain.changed());
  writer.execute("UPDATE other SET a = 'y' WHERE id = 9");
  EXPECT_TRUE(chain.changed());
  auto cut = chain.next();
  EXPECT_FALSE(cut.look.everything);
  EXPECT_FALSE(cut.look.tables.contains("item"));
  EXPECT_TRUE(cut.look.tables.contains("other"));
}

TEST(SnapshotChain, ACutThatIsNotAcceptedStaysInTheNextLook) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain chain(file.path, {});
  EXPECT_TRUE(chain.next().look.everything);
  EXPECT_TRUE(chain.next().look.everything);
  chain.accept();
  writer.execute("UPDATE item SET a = 'x' WHERE id = 5");
  chain.next();
  writer.execute("UPDATE other SET a = 'x' WHERE id = 5");
  auto cut = chain.next();
  EXPECT_FALSE(cut.look.everything);
  EXPECT_TRUE(cut.look.tables.contains("item"));
  EXPECT_TRUE(cut.look.tables.contains("other"));
  chain.accept();
  EXPECT_TRUE(chain.next().look.nowhere());
}

// A cut on every commit, so that each checkpoint of the app's own finds the WAL held.
void write_and_cut(Database& writer, SnapshotChain& chain, int commits) {
  for (int i = 0; i < commits; ++i) {
    writer.execute("UPDATE item SET a = a || 'x' WHERE id = " + std::to_string(1 + i % 1000));
    if (!chain.changed()) continue;
    chain.next();
    chain.accept();
  }
}

TEST(SnapshotChain, ABarrierLetsTheWalStartOver) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute("PRAGMA wal_autocheckpoint = 20");
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain::Options options;
  options.writers_wait = true;
  options.wal_bound = 400'000;
  SnapshotChain chain(file.path, options);
  write_and_cut(writer, chain, 2000);
  EXPECT_GT(chain.counts().barriers, 3U);
  EXPECT_GT(chain.counts().resets_seen, 3U);
  EXPECT_EQ(chain.counts().let_go, 0U);
  EXPECT_LT(std::filesystem::file_size(file.path + "-wal"), 600'000U);
}

// Neither barrier nor letting go: nobody waits, and no cut looks everywhere.
TEST(SnapshotChain, TendedWhenQuietTheWalStartsOver) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain::Options options;
  options.checkpoint_from = 400'000;
  SnapshotChain chain(file.path, options);
  chain.next();
  chain.accept();
  for (int i = 0; i < 2000; ++i) {
    writer.execute("UPDATE item SET a = a || 'x' WHERE id = " + std::to_string(1 + i % 1000));
    ASSERT_FALSE(chain.next().look.everything);
    chain.accept();
    chain.tend();
  }
  EXPECT_GT(chain.counts().resets_seen, 3U);
  EXPECT_EQ(chain.counts().resets_seen, chain.counts().checkpoints);
  EXPECT_EQ(chain.counts().barriers + chain.counts().let_go, 0U);
  EXPECT_LT(std::filesystem::file_size(file.path + "-wal"), 600'000U);
}

TEST(SnapshotChain, WithoutBarriersItIsLetGoAtTheBound) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute("PRAGMA wal_autocheckpoint = 20");
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain::Options options;
  options.wal_bound = 400'000;
  options.patience = std::chrono::hours(1);
  SnapshotChain chain(file.path, options);
  write_and_cut(writer, chain, 2000);
  EXPECT_EQ(chain.counts().barriers, 0U);
  EXPECT_GT(chain.counts().let_go, 3U);
  EXPECT_LT(std::filesystem::file_size(file.path + "-wal"), 600'000U);
}

TEST(SnapshotChain, AnotherReaderOfTheAppRelaxesTheBound) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  Database reader(file.path, Database::Mode::read_write, milliseconds(0));
  sqlite::Transaction open_for_long(reader);
  reader.integer("SELECT count(*) FROM item");
  SnapshotChain::Options options;
  options.wal_bound = 400'000;
  options.patience = milliseconds(0);
  SnapshotChain chain(file.path, options);
  write_and_cut(writer, chain, 1500);
  EXPECT_GT(chain.counts().let_go, 1U);
  EXPECT_LT(chain.counts().let_go, 10U);  // the bound doubles
}

TEST(SnapshotChain, WithoutWalEachCutLooksEverywhereAndEndsWhenAccepted) {
  TemporaryDatabase file;
  Database writer = writer_of(file.path);
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 100));
  writer.execute("PRAGMA busy_timeout = 0");
  SnapshotChain chain(file.path, {});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(chain.changed());
    auto cut = chain.next();
    EXPECT_FALSE(cut.wal);
    EXPECT_TRUE(cut.look.everything);
    EXPECT_THROW(writer.execute("UPDATE item SET a = 1"), Error);
    chain.accept();
    EXPECT_FALSE(chain.changed());
    writer.execute("UPDATE item SET a = a || 'x'");
  }
  writer.execute("PRAGMA journal_mode = WAL");
  EXPECT_TRUE(chain.next().wal);
}

TEST(SnapshotChain, AReplacedFileIsRefused) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute("CREATE TABLE t(a)");
  SnapshotChain chain(file.path, {});
  chain.next();
  std::filesystem::copy_file(file.path, file.path + "2");
  std::filesystem::rename(file.path + "2", file.path);
  EXPECT_THROW(chain.changed(), Refused);
  EXPECT_THROW(chain.next(), Refused);
}

// The database file and its -shm must never be opened by ourselves: closing them drops SQLite's locks.
TEST(SnapshotChain, ASnapshotKeepsItsLocks) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute(filled("id INTEGER PRIMARY KEY, a, b", 1000));
  SnapshotChain chain(file.path, {});
  for (int i = 0; i < 5; ++i) {
    writer.execute("UPDATE item SET a = a || 'x' WHERE id < 50");
    chain.next();
    chain.accept();
  }
  pid_t other = fork();
  if (other == 0) {
    execlp("/usr/bin/python3", "python3", "-c",
           "import sqlite3, sys\n"
           "c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)\n"
           "c.execute('insert into item(a) values (1)')\n"
           "sys.exit(10 + c.execute('pragma wal_checkpoint(truncate)').fetchone()[0])",
           file.path.c_str(), nullptr);
    _exit(1);
  }
  int status = 0;
  waitpid(other, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 11) << "the other process emptied the WAL under our snapshot";
}

TEST(WalPosition, ATornOrUnknownIndexHeaderIsNoPosition) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  auto header = writer.wal_index_header();
  auto position = published_position(header);
  ASSERT_TRUE(position);
  EXPECT_EQ(position->page_size, 4096U);
  EXPECT_GE(position->frame, 2U);
  EXPECT_FALSE(checkpointed(header, *position));
  for (std::size_t i = 0; i < 96; ++i) {
    auto torn = header;
    torn[i] ^= 0x55;
    EXPECT_FALSE(published_position(torn)) << "byte " << i;
  }
  auto both_wrong = header;
  both_wrong[16] ^= 1;
  both_wrong[48 + 16] ^= 1;
  EXPECT_FALSE(published_position(both_wrong));
  EXPECT_FALSE(published_position({}));
  writer.prepare("PRAGMA wal_checkpoint(PASSIVE)").step();
  EXPECT_TRUE(checkpointed(writer.wal_index_header(), *position));
}

TEST(WalFile, WhatDoesNotMatchThePositionIsUnsure) {
  TemporaryDatabase file;
  Database writer = wal_writer_of(file.path);
  writer.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  WalPosition good = *published_position(writer.wal_index_header());
  int frames = 0;
  WalFile(file.path, good).each_frame(1, [&](std::uint32_t, PageNumber) { ++frames; });
  EXPECT_EQ(frames, static_cast<int>(good.frame));
  auto refused = [&](auto change) {
    WalPosition bad = good;
    change(bad);
    EXPECT_THROW(WalFile(file.path, bad), Unsure);
  };
  refused([](WalPosition& p) { ++p.salt1; });
  refused([](WalPosition& p) { ++p.frame; });
  refused([](WalPosition& p) { ++p.checksum2; });
  refused([](WalPosition& p) { p.page_size = 8192; });
  EXPECT_THROW(WalFile(file.path + "x", good), Unsure);
  WalPosition empty = good;
  empty.frame = 0;
  EXPECT_NO_THROW(WalFile(file.path + "x", empty));
}

TEST(Look, RangesMerge) {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  Look look;
  for (RowidRange range : {RowidRange{5, 9}, {most, most}, {10, 12}, {20, 30}, {22, 23}, {least, 0}}) {
    look.add("t", range);
  }
  look.tidy();
  EXPECT_EQ(look.tables["t"].ranges, std::vector<RowidRange>({{least, 0}, {5, 12}, {20, 30}, {most, most}}));
  look.add("t", {least, most});
  look.tidy();
  EXPECT_TRUE(look.tables["t"].whole);
  Look many;
  for (int i = 0; i < 20; ++i) many.add("u", {10 * i, 10 * i + 1});
  many.tidy(10);
  EXPECT_TRUE(many.tables["u"].whole);
  look.unite(Look::at_everything("why"));
  EXPECT_TRUE(look.everything && look.reason == "why");
}

// An interior page of a table: children by their greatest rowid (below 128), and the right-most child.
std::vector<std::uint8_t> interior_page(const std::vector<std::pair<int, int>>& children, int right_most) {
  std::vector<std::uint8_t> image(512);
  image[0] = 5;
  image[4] = static_cast<std::uint8_t>(children.size());
  image[11] = static_cast<std::uint8_t>(right_most);
  for (std::size_t i = 0; i < children.size(); ++i) {
    std::size_t cell = 500 - 5 * i;
    image[12 + 2 * i] = static_cast<std::uint8_t>(cell >> 8);
    image[13 + 2 * i] = static_cast<std::uint8_t>(cell);
    image[cell + 3] = static_cast<std::uint8_t>(children[i].second);
    image[cell + 4] = static_cast<std::uint8_t>(children[i].first);
  }
  return image;
}

std::vector<RowidRange> rerouted(const std::vector<std::uint8_t>& before,
                                 const std::vector<std::uint8_t>& now, RowidRange range = {}) {
  std::vector<RowidRange> out;
  each_rerouted(BtreePage(before, 2, 512), BtreePage(now, 2, 512), range,
                [&](RowidRange part) { out.push_back(part); });
  return out;
}

TEST(PageMap, AnInteriorPageNamesTheRowidsThatItSendsElsewhere) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  auto page = interior_page({{10, 3}, {20, 4}, {30, 5}}, 6);
  using Ranges = std::vector<RowidRange>;
  EXPECT_EQ(rerouted(page, page), Ranges{});
  EXPECT_EQ(rerouted(page, interior_page({{10, 3}, {15, 4}, {20, 7}, {30, 5}}, 6)), Ranges({{16, 20}}));
  EXPECT_EQ(rerouted(page, interior_page({{10, 3}, {30, 5}}, 6)), Ranges({{11, 20}}));
  EXPECT_EQ(rerouted(page, interior_page({{10, 3}, {20, 4}, {30, 5}, {40, 6}}, 7)), Ranges({{41, most}}));
  EXPECT_EQ(rerouted(page, interior_page({{12, 3}, {20, 4}, {30, 5}}, 6)), Ranges({{11, 12}}));
  EXPECT_EQ(rerouted(page, interior_page({}, 6), {15, 40}), Ranges({{15, 20}, {21, 30}}));
  EXPECT_EQ(rerouted(page, interior_page({{10, 3}, {20, 4}, {30, 5}}, 7), {5, 30}), Ranges{});
}

TEST(BtreePage, AMalformedPageIsUnsureAndNeverReadBeyond) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::uint8_t> image(512);
    for (auto& byte : image) byte = static_cast<std::uint8_t>(random());
    image[0] = std::array<std::uint8_t, 4>{2, 5, 10, 13}[random() % 4];
    image[3] = 0;
    image[4] = static_cast<std::uint8_t>(random() % 30);
    try {
      BtreePage page(image, 2, 512);
      for (int i = 0; i < page.cells(); ++i) page.overflow(i);
      if (page.is_table()) page.lower_bound(static_cast<std::int64_t>(random()));
      if (page.is_interior()) page.child(page.cells());
    } catch (const Unsure&) {
    }
  }
}

}  // namespace
}  // namespace tidegate::sqlite_wal
