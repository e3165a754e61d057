#include "replicator/pipeline/applier.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "db/error.hpp"
#include "support/scratch.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Remembers what was written, and what of it was committed.
class NotedSink : public Sink {
 public:
  const Position& position() const override { return position_; }
  void add(const Relation&, Change change) override {
    added_.push_back(std::get<std::int64_t>(change.row.front()));
  }
  std::size_t rows() const override { return added_.size(); }
  std::size_t bytes() const override { return 0; }
  void write(const Position& to) override {
    spill(to.sequence);
    position_ = to;
    committed_ = written_;
  }
  void spill(std::uint64_t) override {
    written_.insert(written_.end(), added_.begin(), added_.end());
    added_.clear();
  }
  void remove_ranges(const Relation&, const ChunkMap::Key&, const std::vector<KeyRange>&) override {}

  const std::vector<std::int64_t>& committed() const { return committed_; }

 private:
  Position position_;
  std::vector<std::int64_t> added_, written_, committed_;
};

class ApplierTest : public testing::Test {
 protected:
  // One row in each part.
  std::uint64_t append(std::int64_t row, bool first, bool last) {
    TransactionPart part;
    part.transaction = 1;
    part.first = first;
    part.last = last;
    part.relations = {{1, "t", {"id"}, {0}}};
    part.changes = {{Operation::insert, 1, {row}, {}, {}}};
    sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
    auto sequence = journal_.append(part);
    transaction.commit();
    return sequence;
  }
  void show(std::int64_t row, bool first) { tail_.reached(append(row, first, false)); }
  void take_back() {
    journal_.discard_open();
    tail_.close();
  }
  // The code of the Error that step() throws.
  std::string failure() {
    try {
      BatchOutcome outcome;
      applier_.step(outcome);
    } catch (const Error& error) {
      EXPECT_EQ(error.advice(), Advice::reconnect);
      return error.code();
    }
    return "none";
  }
  // Once apply has taken the first part and asks for the next.
  std::jthread when_begun(std::function<void()> then) {
    return std::jthread([this, then = std::move(then)] {
      while (sink_rows_ == 0) std::this_thread::yield();
      then();
    });
  }

  testing_support::Scratch scratch_;
  sqlite::Database state_ = open_state(scratch_.file("state.db"));
  Journal journal_{state_};
  JournalReader reader_{scratch_.file("state.db")};
  NotedSink sink_;
  OpenTail tail_;
  std::atomic<int> sink_rows_{0};
  Applier applier_{reader_, sink_, ChunkMap(), {1, 1 << 20}, {}};
  Applier::Limit begun_ = [this](const JournalReader::Entry&) {
    ++sink_rows_;
    return true;
  };
};

TEST_F(ApplierTest, AnOpenTransactionWaitsWhereNobodySaysThatItIsOne) {
  BatchOutcome outcome;
  applier_.follow(tail_);
  append(1, true, false);
  EXPECT_FALSE(applier_.step(outcome));
  append(2, false, true);
  EXPECT_TRUE(applier_.step(outcome));
  EXPECT_THAT(sink_.committed(), ElementsAre(1, 2));
}

TEST_F(ApplierTest, AnOpenTransactionIsTakenAsItComesAndCommittedAtItsEnd) {
  BatchOutcome outcome;
  applier_.follow(tail_);
  show(1, true);
  auto capture = when_begun([&] {
    show(2, false);
    EXPECT_THAT(sink_.committed(), IsEmpty());
    append(3, false, true);
    tail_.close();
  });
  EXPECT_TRUE(applier_.step(outcome, begun_));
  EXPECT_THAT(sink_.committed(), ElementsAre(1, 2, 3));
  EXPECT_EQ(sink_.position().sequence, 3u);
  EXPECT_EQ(outcome.transactions, 1u);
}

TEST_F(ApplierTest, WhatCameBeforeAnOpenTransactionDoesNotWaitForIt) {
  BatchOutcome outcome;
  applier_.follow(tail_);
  append(1, true, true);
  show(2, true);
  EXPECT_TRUE(applier_.step(outcome));
  EXPECT_THAT(sink_.committed(), ElementsAre(1));
}

TEST_F(ApplierTest, WhatCaptureGivesUpIsNotCommitted) {
  applier_.follow(tail_);
  show(1, true);
  std::string code;
  {
    std::jthread capture([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      take_back();
    });
    code = failure();
  }
  EXPECT_EQ(code, Applier::given_up);
  EXPECT_THAT(sink_.committed(), IsEmpty());
}

TEST_F(ApplierTest, AnotherTransactionInThePlaceOfTheOneBegunIsNotTakenForItsRest) {
  applier_.follow(tail_);
  show(1, true);
  std::string code;
  {
    std::jthread capture([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      journal_.discard_open();
      append(7, true, false);
      append(8, false, true);
      tail_.close();
    });
    code = failure();
  }
  EXPECT_EQ(code, Applier::given_up);
  EXPECT_THAT(sink_.committed(), IsEmpty());
}

TEST_F(ApplierTest, TheSamePartsAgainAreItsRest) {
  BatchOutcome outcome;
  applier_.follow(tail_);
  show(1, true);
  auto capture = when_begun([&] {
    sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
    journal_.discard_open();
    transaction.commit();
    append(1, true, false);
    append(2, false, true);
    tail_.close();
  });
  EXPECT_TRUE(applier_.step(outcome, begun_));
  EXPECT_THAT(sink_.committed(), ElementsAre(1, 2));
}

}  // namespace
}  // namespace tidegate
