// A live SQLite file, its application's connection, and a capture with its journal beside it.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "capture/sqlite/capture.hpp"
#include "replicator/journal/journal.hpp"
#include "support/scratch.hpp"

namespace tidegate::testing_support {

class CaptureRig {
 public:
  // `before_wal`: what can be set only while the file is empty.
  explicit CaptureRig(const std::string& schema, const std::string& before_wal = "") : app_(open_app()) {
    app_->execute(before_wal + ";PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; " + schema);
    start();
  }

  sqlite::Database& app() { return *app_; }
  SqliteCapture& capture() { return *capture_; }
  sqlite::Database& state() { return *state_; }
  CaptureOptions& options() { return options_; }
  const std::string& live_path() const { return live_path_; }
  const std::string& state_path() const { return state_path_; }

  // As after a crash: nothing is left but the files. With another outbox than the journal, that one is
  // written.
  void restart(Outbox* outbox = nullptr) {
    capture_.reset();
    journal_.reset();
    state_.reset();
    start(outbox);
  }
  void fill() {
    const auto ignore = [](const std::string&, std::uint64_t) {};
    capture_->begin_fill(ignore);
    capture_->fill(ignore);
  }
  // The parts that the cut wrote.
  std::vector<TransactionPart> cut(SqliteCapture::Cut* told = nullptr) {
    auto before = last();
    auto cut = capture_->cut();
    if (told) *told = cut;
    auto parts = parts_after(before);
    EXPECT_EQ(cut.changed, !parts.empty());
    if (cut.changed) {
      EXPECT_EQ(cut.last_sequence, last());
    }
    return parts;
  }
  std::vector<TransactionPart> parts_after(std::uint64_t sequence) {
    JournalReader reader(state_path_);
    std::vector<TransactionPart> parts;
    for (; auto entry = reader.next(sequence); ++sequence) parts.push_back(std::move(entry->part));
    return parts;
  }
  std::uint64_t last() {
    return static_cast<std::uint64_t>(state_->integer("SELECT coalesce(max(seq), 0) FROM journal"));
  }
  // Everything that the state database holds: each table with its number of rows and a hash of them.
  std::string state_digest() {
    std::string digest;
    auto tables = state_->prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    while (tables.step()) {
      std::string content, name = tables.text(0);
      auto rows = state_->prepare("SELECT * FROM " + sqlite::quoted(name));
      std::size_t count = 0;
      for (Row row; rows.step(); ++count) {
        rows.read_row(row, 0, rows.columns());
        content += encode(row) + '\n';
      }
      digest += fmt::format("{} {} {:x}\n", name, count, std::hash<std::string>{}(content));
    }
    return digest;
  }

 private:
  // A checkpoint of the application's own waits for our snapshot as long as this; both are on one thread
  // here.
  std::unique_ptr<sqlite::Database> open_app() {
    return std::make_unique<sqlite::Database>(live_path_, sqlite::Database::Mode::create,
                                              std::chrono::milliseconds(20));
  }
  void start(Outbox* outbox = nullptr) {
    state_ = std::make_unique<sqlite::Database>(open_state(state_path_));
    state_->execute("PRAGMA synchronous = OFF");
    journal_ = std::make_unique<Journal>(*state_);
    options_.path = live_path_;
    capture_ = std::make_unique<SqliteCapture>(options_, *state_, outbox ? *outbox : *journal_);
  }

  Scratch scratch_;
  std::string live_path_ = scratch_.file("live.db"), state_path_ = scratch_.file("state.db");
  CaptureOptions options_;
  std::unique_ptr<sqlite::Database> app_, state_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<SqliteCapture> capture_;
};

struct KeyOrder {
  bool operator()(const Row& a, const Row& b) const { return binary_order(a, b) < 0; }
};

// Tables as a faithful reader of the journal has them. Checks on the way that every change fits what came
// before.
class Replica {
 public:
  using Table = std::map<Row, Row, KeyOrder>;

  void take(const std::vector<TransactionPart>& parts) {
    for (const auto& part : parts) take(part);
  }
  void take(const TransactionPart& part) {
    EXPECT_NE(part.first, open_) << "a transaction begins where another is open, or goes on where none is";
    open_ = !part.last;
    if (part.schema_change) {
      for (const auto& table : part.schema_change->tables) widen(table);
    }
    for (const auto& change : part.changes) {
      for (const auto& relation : part.relations) {
        if (relation.id == change.relation) take(relation, change);
      }
    }
  }
  Table& table(const std::string& name) { return tables_[name]; }

 private:
  void widen(const SourceTable& table) {
    std::size_t width = table.columns.size() + (table.identity == Identity::rowid ? 1 : 0);
    for (auto& [key, row] : tables_[table.name]) row.resize(width);
  }
  void take(const Relation& relation, const Change& change) {
    Table& table = tables_[relation.table];
    Row key = key_of(relation, change.row);
    auto found = table.find(key);
    if (change.operation == Operation::remove) {
      ASSERT_NE(found, table.end()) << relation.table << ": removes what is not there";
      EXPECT_TRUE(identical(found->second, change.row)) << relation.table << ": removed another row";
      table.erase(found);
      return;
    }
    if (change.operation == Operation::update) {
      ASSERT_NE(found, table.end()) << relation.table << ": updates what is not there";
      check_update(relation, found->second, change);
    }
    if (found != table.end()) table.erase(found);
    table.emplace(std::move(key), change.row);
  }
  static void check_update(const Relation& relation, const Row& before, const Change& change) {
    for (std::uint32_t i = 0, at = 0; i < before.size(); ++i) {
      bool masked = at < change.changed.size() && change.changed[at] == i;
      bool is_key = std::find(relation.key.begin(), relation.key.end(), i) != relation.key.end();
      if (masked) {
        EXPECT_TRUE(identical(change.old[at], before[i])) << relation.table << ": wrong old value";
        EXPECT_FALSE(identical(change.row[i], before[i]))
            << relation.table << ": said to be changed, but is not";
        EXPECT_FALSE(is_key);
        ++at;
      } else if (!is_key) {
        EXPECT_TRUE(identical(change.row[i], before[i])) << relation.table << ": changed without being said";
      }
    }
  }
  std::map<std::string, Table> tables_;
  bool open_ = false;
};

// What a table of the live file holds now, in the layout of its events.
inline Replica::Table live_rows(sqlite::Database& live, const ShadowTable& table) {
  Replica::Table content;
  auto rows = live.prepare(table.select_live(ShadowTable::Rows::all));
  for (Row row; rows.step();) {
    rows.read_row(row, 0, table.width());
    content.emplace(key_of(table.relation(), row), row);
  }
  return content;
}

inline void expect_same_rows(const Replica::Table& is, const Replica::Table& wanted,
                             const std::string& what) {
  EXPECT_EQ(is.size(), wanted.size()) << what;
  for (auto a = is.begin(), b = wanted.begin(); a != is.end() && b != wanted.end(); ++a, ++b) {
    ASSERT_TRUE(identical(a->second, b->second)) << what << ": row " << key_as_json(a->first) << " is not "
                                                 << key_as_json(b->first) << " of the source";
  }
}

}  // namespace tidegate::testing_support
