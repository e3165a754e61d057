#include "replicator/journal/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "db/error.hpp"
#include "support/scratch.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

TransactionPart part_of(std::uint64_t transaction, bool first, bool last, const std::string& text = "x") {
  TransactionPart part;
  part.transaction = transaction;
  part.first = first;
  part.last = last;
  part.relations = {{1, "t", {"id", "text"}, {0}}};
  part.changes = {{Operation::insert, 1, {static_cast<std::int64_t>(transaction), text}, {}, {}}};
  return part;
}

std::uint64_t append(sqlite::Database& state, Journal& journal, const TransactionPart& part) {
  sqlite::Transaction transaction(state, sqlite::Transaction::Kind::immediate);
  auto sequence = journal.append(part);
  transaction.commit();
  return sequence;
}

class JournalTest : public testing::Test {
 protected:
  std::uint64_t add(std::uint64_t transaction, bool first = true, bool last = true,
                    const std::string& text = "x") {
    return append(state_, journal_, part_of(transaction, first, last, text));
  }
  // The text of the Error that next() throws.
  std::string refusal(std::uint64_t after) {
    try {
      reader_.next(after);
    } catch (const Error& error) {
      EXPECT_EQ(error.advice(), Advice::stop);
      return error.what();
    }
    return "";
  }

  testing_support::Scratch scratch_;
  std::string path_ = scratch_.file("state.db");
  sqlite::Database state_ = open_state(path_);
  Journal journal_{state_};
  JournalReader reader_{path_};
};

TEST_F(JournalTest, ARowThatIsTooLargeIsNamedByItsKey) {
  Journal small(state_, 1000);
  auto part = part_of(1, true, true, "short");
  part.changes.push_back({Operation::insert, 1, {std::int64_t{77}, std::string(2000, 'v')}, {}, {}});
  try {
    append(state_, small, part);
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.advice(), Advice::stop);
    EXPECT_THAT(error.what(), HasSubstr("table t with key [77]"));
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("vvv")));
  }
  EXPECT_EQ(reader_.end(), 0u);
}

TEST_F(JournalTest, BeginsEmpty) {
  EXPECT_EQ(reader_.end(), 0u);
  EXPECT_EQ(reader_.first(), 1u);
  EXPECT_FALSE(reader_.next(0));
  EXPECT_EQ(reader_.digest_at(0), "");
  EXPECT_FALSE(reader_.digest_at(1));
  EXPECT_EQ(reader_.backlog_after(0).entries, 0u);
  EXPECT_EQ(reader_.backlog_after(0).oldest_written_at_us, 0);
}

TEST_F(JournalTest, HandsOutWhatWasAppendedInOrder) {
  EXPECT_EQ(add(1), 1u);
  EXPECT_EQ(add(2, true, true, std::string(1 << 20, 'y')), 2u);
  for (std::uint64_t sequence : {1u, 2u}) {
    auto entry = reader_.next(sequence - 1);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->sequence, sequence);
    EXPECT_TRUE(entry->closes);
    EXPECT_EQ(entry->digest, reader_.digest_at(sequence));
    EXPECT_GT(entry->written_at_us, 1600000000000000);
  }
  EXPECT_EQ(reader_.next(1)->part, part_of(2, true, true, std::string(1 << 20, 'y')));
  EXPECT_FALSE(reader_.next(2));
}

TEST_F(JournalTest, AnOpenTransactionIsNotHandedOut) {
  add(1);
  add(2, true, false);
  add(2, false, false);
  EXPECT_EQ(reader_.end(), 1u);
  EXPECT_FALSE(reader_.next(1));
  add(2, false, true);
  EXPECT_EQ(reader_.end(), 4u);
  EXPECT_FALSE(reader_.next(1)->closes);
  EXPECT_FALSE(reader_.next(2)->closes);
  EXPECT_TRUE(reader_.next(3)->closes);
}

TEST_F(JournalTest, AnOpenTransactionIsHandedOutToWhoKnowsThatItIsOpen) {
  add(1);
  add(2, true, false);
  add(2, false, false);
  EXPECT_FALSE(reader_.next(1, 1));
  EXPECT_EQ(reader_.next(1, 3)->previous, reader_.digest_at(1));
  EXPECT_FALSE(reader_.next(2, 3)->closes);
  EXPECT_FALSE(reader_.next(2, 2));
  EXPECT_FALSE(reader_.next(3, 3));
}

TEST_F(JournalTest, WhatIsLeftOfAnOpenTransactionIsTakenBack) {
  add(1);
  add(2, true, false);
  add(2, false, false);
  auto first_attempt = reader_.next(1, 3)->digest;
  journal_.trim(1, -1h);
  journal_.discard_open();
  EXPECT_FALSE(reader_.next(1, 3)) << "it was read after it was taken back";
  EXPECT_EQ(add(2, true, false, "other"), 2u);
  EXPECT_EQ(add(2, false, true), 3u);
  EXPECT_EQ(reader_.next(1)->previous, reader_.digest_at(1));
  EXPECT_NE(reader_.next(2)->previous, first_attempt);
  journal_.discard_open();
  EXPECT_EQ(reader_.end(), 3u);
}

TEST_F(JournalTest, WhatMayBeTakenBackIsNotReadAhead) {
  add(1);
  add(2);
  add(3, true, false, "first");
  EXPECT_TRUE(reader_.next(0, 3));
  journal_.discard_open();
  EXPECT_EQ(add(3, true, true, "other"), 3u);
  EXPECT_TRUE(reader_.next(1, 3));
  auto entry = reader_.next(2, 3);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->part.changes.at(0).row.at(1), Value(std::string("other")));
}

TEST_F(JournalTest, AnAppendIsThereWithItsTransactionOnly) {
  {
    sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
    EXPECT_EQ(journal_.append(part_of(1, true, true)), 1u);
    EXPECT_EQ(reader_.end(), 0u);
  }
  EXPECT_EQ(reader_.end(), 0u);
  EXPECT_EQ(add(7), 1u);  // the number was not used up
}

TEST_F(JournalTest, DigestsChain) {
  add(1);
  add(2);
  add(3);
  EXPECT_EQ(state_.text("SELECT previous FROM journal WHERE seq = 1"), "");
  for (int sequence : {2, 3}) {
    auto before = state_.text("SELECT digest FROM journal WHERE seq = " + std::to_string(sequence - 1));
    EXPECT_EQ(state_.text("SELECT previous FROM journal WHERE seq = " + std::to_string(sequence)), before);
    EXPECT_EQ(before.size(), 64u);
  }
}

// The same bytes at another place, or closing or not, are another history.
TEST_F(JournalTest, DigestsCoverPlaceAndClosing) {
  TransactionPart part = part_of(1, true, true);
  append(state_, journal_, part);
  append(state_, journal_, part);
  EXPECT_NE(reader_.digest_at(1), reader_.digest_at(2));
  state_.execute("UPDATE journal SET closes = 0 WHERE seq = 1");
  EXPECT_THAT(refusal(0), HasSubstr("damaged"));
}

TEST_F(JournalTest, TrimHonoursWhatWasAppliedAndTheRetention) {
  for (std::uint64_t i = 1; i <= 5; ++i) add(i);
  state_.execute("UPDATE journal SET written_at = written_at - 7200 * 1000000 WHERE seq <> 3");
  journal_.trim(4, 1h);
  std::vector<std::int64_t> kept;
  auto rows = state_.prepare("SELECT seq FROM journal ORDER BY seq");
  while (rows.step()) kept.push_back(rows.integer(0));
  EXPECT_THAT(kept, testing::ElementsAre(3, 5));
}

TEST_F(JournalTest, TrimKeepsTheLastRow) {
  add(1);
  add(2);
  journal_.trim(2, -1h);
  EXPECT_EQ(reader_.first(), 2u);
  EXPECT_EQ(reader_.end(), 2u);
  EXPECT_EQ(add(3), 3u);
}

TEST_F(JournalTest, TrimLeavesWhatWasNotApplied) {
  add(1);
  add(2);
  journal_.trim(0, -1h);
  EXPECT_EQ(reader_.first(), 1u);
}

TEST_F(JournalTest, TheRowBeforeTheOldestIsKnownByItsDigest) {
  for (std::uint64_t i = 1; i <= 4; ++i) add(i);
  auto second = reader_.digest_at(2);
  journal_.trim(2, -1h);
  EXPECT_EQ(reader_.first(), 3u);
  EXPECT_EQ(reader_.digest_at(2), second);
  EXPECT_FALSE(reader_.digest_at(1));
  EXPECT_FALSE(reader_.digest_at(5));
  EXPECT_TRUE(reader_.next(2));
  EXPECT_THAT(refusal(1), HasSubstr("no longer holds entry 2"));
}

TEST_F(JournalTest, DamageIsFoundAndNamed) {
  for (std::uint64_t i = 1; i <= 5; ++i) add(i);
  state_.execute(
      "UPDATE journal SET digest = replace(digest, substr(digest, 1, 1), 'g') WHERE seq = 1;"
      "UPDATE journal SET body = zeroblob(length(body)) WHERE seq = 2;"
      "UPDATE journal SET body = substr(body, 1, length(body) - 1) WHERE seq = 3;"
      "UPDATE journal SET previous = '' WHERE seq = 4;"
      "DELETE FROM journal WHERE seq = 5; INSERT INTO journal SELECT 6, 1, '', '', 0, 0, 0, x'00'");
  for (std::uint64_t sequence : {1u, 2u, 3u, 4u, 6u}) {
    EXPECT_THAT(refusal(sequence - 1), HasSubstr("entry " + std::to_string(sequence) + " in")) << sequence;
    EXPECT_THAT(refusal(sequence - 1), HasSubstr("damaged")) << sequence;
  }
  EXPECT_THAT(refusal(4), HasSubstr("no longer holds entry 5"));
}

TEST_F(JournalTest, NoBodyMakesItCrash) {
  testing_support::Seeded random;
  SCOPED_TRACE(random.told());
  add(1, true, true, std::string(2000, 'y'));
  const std::string body = [&] {
    auto row = state_.prepare("SELECT body FROM journal");
    row.step();
    return std::string(row.bytes(0));
  }();
  for (int i = testing_support::Seeded::rounds(200); i > 0; --i) {
    auto bytes = random.mutated(body);
    auto update = state_.prepare("UPDATE journal SET body = ?");
    update.bind_blob(1, bytes).run();
    EXPECT_EQ(refusal(0).empty(), bytes == body);
  }
}

TEST_F(JournalTest, ARestoredStateDirectoryIsAnotherHistory) {
  add(1);
  std::string copy = scratch_.file("restored.db");
  state_.execute("VACUUM INTO '" + copy + "'");
  auto restored = open_state(copy);
  Journal restored_journal(restored);
  JournalReader restored_reader(copy);
  EXPECT_EQ(restored_journal.incarnation(), journal_.incarnation());
  EXPECT_EQ(restored_reader.digest_at(1), reader_.digest_at(1));
  add(2, true, true, "here");
  append(restored, restored_journal, part_of(2, true, true, "there"));
  EXPECT_EQ(restored_reader.end(), reader_.end());
  EXPECT_NE(restored_reader.digest_at(2), reader_.digest_at(2));
  // From then on for ever, whatever follows.
  add(3);
  append(restored, restored_journal, part_of(3, true, true));
  EXPECT_NE(restored_reader.digest_at(3), reader_.digest_at(3));
}

TEST_F(JournalTest, IncarnationsAreMadeOnceAndDiffer) {
  EXPECT_EQ(Journal(state_).incarnation(), journal_.incarnation());
  EXPECT_EQ(reader_.incarnation(), journal_.incarnation());
  auto other = open_state(scratch_.file("other.db"));
  EXPECT_NE(Journal(other).incarnation(), journal_.incarnation());
  EXPECT_THAT(journal_.incarnation(),
              testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
}

TEST_F(JournalTest, BacklogCountsWhatWaits) {
  add(1);
  add(2, true, false);
  add(2, false, true);
  auto backlog = reader_.backlog_after(1);
  EXPECT_EQ(backlog.entries, 2u);
  EXPECT_EQ(backlog.transactions, 1u);
  EXPECT_EQ(backlog.rows, 2u);
  EXPECT_EQ(backlog.bytes, 2 * encode(part_of(2, true, true)).size() - 4);  // proto3 leaves a false out
  EXPECT_GT(backlog.oldest_written_at_us, 0);
  EXPECT_GT(reader_.total_bytes(), 0u);
  EXPECT_EQ(reader_.bytes_since(0), reader_.total_bytes());
  EXPECT_EQ(reader_.bytes_since(INT64_MAX), 0u);
}

TEST_F(JournalTest, ReadsWhileAnotherConnectionWrites) {
  constexpr std::uint64_t transactions = 300;
  std::thread writer([&] {
    for (std::uint64_t i = 1; i <= transactions; ++i) {
      add(i, true, false);
      add(i, false, true);
    }
  });
  std::uint64_t position = 0;
  auto deadline = std::chrono::steady_clock::now() + 60s;
  bool open = false;
  while (position < 2 * transactions && std::chrono::steady_clock::now() < deadline) {
    auto entry = reader_.next(position);
    if (!entry) {
      EXPECT_FALSE(open) << "half of a transaction was handed out";
      continue;
    }
    EXPECT_EQ(entry->sequence, ++position);
    EXPECT_EQ(entry->part.transaction, (position + 1) / 2);
    open = !entry->closes;
  }
  writer.join();
  EXPECT_EQ(position, 2 * transactions);
}

TEST_F(JournalTest, TheStateIsPrivateAndDurable) {
  EXPECT_EQ(std::filesystem::status(path_).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(state_.text("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(state_.integer("PRAGMA synchronous"), 2);
}

}  // namespace
}  // namespace tidegate
