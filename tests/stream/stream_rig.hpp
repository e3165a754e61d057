// The source that test_stream.py has started, a capture with its journal, and what a faithful reader of the
// journal would hold. Each test has a schema, a publication and a slot of its own.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "capture/postgres/capture.hpp"
#include "capture/postgres/slot.hpp"
#include "db/error.hpp"
#include "replicator/journal/journal.hpp"
#include "support/scratch.hpp"

namespace tidegate::testing_support {

using std::chrono::milliseconds;

inline postgres::ConnectOptions source(const char* variable = "TIDEGATE_TEST_SOURCE") {
  postgres::ConnectOptions options;
  options.url = std::getenv(variable);
  options.application_name = "tidegate-stream-tests";
  return options;
}

inline bool eventually(const std::function<bool()>& check, milliseconds patience = milliseconds(20000)) {
  for (auto until = std::chrono::steady_clock::now() + patience; std::chrono::steady_clock::now() < until;) {
    if (check()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

// Rows by their key's text, or by all of their text where the identity is FULL.
class Replica {
 public:
  void take(const TransactionPart& part) {
    EXPECT_NE(part.first, open_);
    open_ = !part.last;
    if (part.first) {
      EXPECT_EQ(part.transaction, ++transactions_);
      EXPECT_TRUE(part.stamp);
      EXPECT_GE(part.stamp->commit_lsn, end_lsn_) << "not in commit order, or twice";
    }
    if (part.last) end_lsn_ = part.stamp->end_lsn;
    for (const auto& relation : part.relations) relations_[relation.id] = relation;
    for (const auto& change : part.changes) take(relations_.at(change.relation), change);
  }
  std::multimap<std::string, Row>& table(const std::string& name) { return tables_[name]; }
  std::uint64_t transactions() const { return transactions_; }

 private:
  static std::string key(const Relation& relation, const Row& row) {
    return key_as_json(relation.key.empty() ? row : key_of(relation, row));
  }
  void take(const Relation& relation, const Change& change) {
    auto& table = tables_[relation.table];
    if (change.operation == Operation::truncate) return table.clear();
    if (change.operation == Operation::insert) {
      EXPECT_TRUE(relation.key.empty() || !table.contains(key(relation, change.row))) << "inserted twice";
      table.emplace(key(relation, change.row), change.row);
      return;
    }
    const Row& before = change.before.empty() ? change.row : change.before;
    auto found = table.find(key(relation, before));
    ASSERT_NE(found, table.end()) << relation.table << ": changes a row that is not there";
    Row old = std::move(found->second), row = change.row;
    table.erase(found);
    if (change.operation == Operation::remove) return;
    for (auto place : change.absent) row[place] = old[place];
    table.emplace(key(relation, row), row);
  }
  std::map<std::uint32_t, Relation> relations_;
  std::map<std::string, std::multimap<std::string, Row>> tables_;
  std::uint64_t transactions_ = 0, end_lsn_ = 0;
  bool open_ = false;
};

class StreamTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::getenv("TIDEGATE_TEST_SOURCE")) GTEST_SKIP() << "run tests/integration/test_stream.py";
    for (char c : std::string(testing::UnitTest::GetInstance()->current_test_info()->name()))
      name_ += static_cast<char>(std::tolower(c));
    app_ = std::make_unique<postgres::Connection>(source());
    admin_ = std::make_unique<postgres::Connection>(source("TIDEGATE_TEST_SOURCE_ADMIN"));
    for (auto* connection : {app_.get(), admin_.get()}) connection->run("SET search_path = " + name_);
    app_->run("CREATE SCHEMA " + name_);
    options_.connection = source();
    options_.connection.application_name = name_;
    options_.slot = options_.publication = name_;
    options_.spool_directory = scratch_.file("spool");
  }
  void TearDown() override {
    if (!app_) return;
    stop();
    eventually([&] { return drop(); });
    app_ = std::make_unique<postgres::Connection>(source());
    app_->run("DROP SCHEMA " + name_ + " CASCADE; DROP PUBLICATION IF EXISTS " + name_);
  }
  bool drop() {
    try {
      drop_slot(source(), name_);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  // The tables that are there now are published.
  void publish(const std::string& tables, bool two_phase = false) {
    app_->run("CREATE PUBLICATION " + name_ + " FOR TABLE " + tables);
    EXPECT_TRUE(ensure_slot(source(), name_, two_phase, milliseconds(0)).made);
  }
  void open(Outbox* outbox = nullptr) {
    state_ = std::make_unique<sqlite::Database>(open_state(scratch_.file("state.db")));
    journal_ = std::make_unique<Journal>(*state_);
    capture_ = std::make_unique<PostgresCapture>(options_, *state_, outbox ? *outbox : *journal_);
  }
  void start(Outbox* outbox = nullptr) {
    open(outbox);
    failure_ = nullptr;
    ended_ = false;
    worker_ = std::jthread([this](const std::stop_token& token) {
      try {
        capture_->run(token, callbacks());
      } catch (...) {
        failure_ = std::current_exception();
      }
      ended_ = true;
    });
  }
  // As a new process finds it, but for what a clean end does.
  void stop() {
    worker_ = std::jthread();
    capture_.reset();
    journal_.reset();
    state_.reset();
  }
  std::string wait_for_failure() {
    EXPECT_TRUE(eventually([this] { return ended_.load(); }));
    worker_ = std::jthread();
    try {
      if (failure_) std::rethrow_exception(failure_);
    } catch (const Refused& refused) {
      return refused.code();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "a clean end";
  }

  // What `tidegate sync` does: true once all that was committed before is journalled.
  void sync() {
    std::string nonce = "nonce " + std::to_string(++nonces_);
    app_->run("SELECT pg_catalog.pg_logical_emit_message(true, 'tidegate', '" + nonce + "')");
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(mutex_);
      return messages_.contains(nonce) || ended_;
    })) << "the message did not come";
    EXPECT_FALSE(ended_);
  }
  std::uint64_t sequence_at(const std::string& nonce) {
    std::lock_guard lock(mutex_);
    return messages_.at(nonce);
  }
  std::vector<TransactionPart> parts() {
    JournalReader reader(scratch_.file("state.db"));
    std::vector<TransactionPart> parts;
    for (std::uint64_t sequence = 0; auto entry = reader.next(sequence); ++sequence)
      parts.push_back(std::move(entry->part));
    return parts;
  }
  Replica replica() {
    Replica replica;
    for (const auto& part : parts()) replica.take(part);
    return replica;
  }
  void expect_same(const std::vector<std::string>& tables) {
    Replica replica = this->replica();
    for (const auto& table : tables) {
      std::vector<Row> is, wanted;
      for (const auto& [key, row] : replica.table(name_ + "." + table)) is.push_back(row);
      auto result = app_->run("SELECT * FROM " + table);
      for (int i = 0; i < result.rows(); ++i) {
        Row& row = wanted.emplace_back();
        for (int j = 0; j < result.columns(); ++j) {
          row.push_back(result.is_null(i, j) ? Value(Null()) : Value(std::string(result.text(i, j))));
        }
      }
      EXPECT_EQ(is.size(), wanted.size()) << table;
      auto order = [](const Row& a, const Row& b) { return binary_order(a, b) < 0; };
      std::sort(is.begin(), is.end(), order);
      std::sort(wanted.begin(), wanted.end(), order);
      EXPECT_TRUE(is == wanted) << "table " << table << " differs";
    }
  }
  SlotState slot() { return find_slot(*app_, name_).value(); }
  std::int64_t number(const std::string& sql) { return admin_->run(sql).integer(0, 0); }

  virtual PostgresCaptureCallbacks callbacks() {
    PostgresCaptureCallbacks callbacks;
    callbacks.on_message = [this](const std::string& content, std::uint64_t sequence) {
      std::lock_guard lock(mutex_);
      messages_[content] = sequence;
    };
    callbacks.on_committed = [this](const auto& committed) {
      if (on_committed_) on_committed_(committed);
    };
    callbacks.on_open = [this](std::uint64_t sequence) {
      if (on_open_) on_open_(sequence);
    };
    callbacks.take_back_open = [this] { journal_->discard_open(); };
    callbacks.on_spool_full = [this](const std::string&) { spool_full_ = true; };
    callbacks.on_relation_changed = [this](const RelationChanged& change) {
      if (on_relation_changed_) on_relation_changed_(change);
    };
    return callbacks;
  }

  Scratch scratch_;
  std::string name_;
  PostgresCaptureOptions options_;
  std::unique_ptr<postgres::Connection> app_, admin_;
  std::unique_ptr<sqlite::Database> state_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<PostgresCapture> capture_;
  std::function<void(const PostgresCaptureCallbacks::Committed&)> on_committed_;
  std::function<void(const RelationChanged&)> on_relation_changed_;
  std::function<void(std::uint64_t)> on_open_;
  std::atomic<bool> spool_full_{false};
  std::mutex mutex_;
  std::map<std::string, std::uint64_t> messages_;
  int nonces_ = 0;
  std::exception_ptr failure_;
  std::atomic<bool> ended_{false};
  std::jthread worker_;
};

}  // namespace tidegate::testing_support
