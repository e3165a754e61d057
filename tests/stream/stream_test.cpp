// What arrives in the journal, against what the source holds.
#include <fstream>

#include "stream/stream_rig.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

using testing_support::eventually;
using testing_support::milliseconds;
using testing_support::Seeded;
using testing_support::source;
using testing_support::StreamTest;

class Stream : public StreamTest {};

TEST_F(Stream, RowsOfAllKinds) {
  app_->run(
      "CREATE TABLE t (id int PRIMARY KEY, x text, made int GENERATED ALWAYS AS (id * 2) STORED, big text);"
      "ALTER TABLE t ALTER big SET STORAGE EXTERNAL; ALTER TABLE t DROP COLUMN made;"
      "CREATE TABLE whole (a int, big text, j json); ALTER TABLE whole REPLICA IDENTITY FULL;"
      "ALTER TABLE whole ALTER big SET STORAGE EXTERNAL;"
      "CREATE TABLE pair (a int, x text, b int, PRIMARY KEY (b, a));"
      "CREATE TABLE typed (id bigint PRIMARY KEY, ts timestamptz, n numeric, f float8, b bytea, i interval, "
      "d date, "
      "a int[], r int4range, js jsonb, c char(5))");
  publish("t, whole, pair, typed");
  start();
  app_->run("INSERT INTO t SELECT i, 'x' || i, repeat('long', 3000) || i FROM generate_series(1, 20) i");
  app_->run("UPDATE t SET x = 'changed' WHERE id <= 5; UPDATE t SET id = id + 100 WHERE id BETWEEN 3 AND 8");
  app_->run("UPDATE t SET x = NULL, big = 'short' WHERE id = 104; DELETE FROM t WHERE id IN (1, 105, 20)");
  app_->run(
      "INSERT INTO whole SELECT i % 3, repeat('w', 9000), '{\"a\": 1}' FROM generate_series(1, 9) i;"
      "UPDATE whole SET a = 7 WHERE ctid IN (SELECT ctid FROM whole WHERE a = 1 LIMIT 1);"
      "DELETE FROM whole WHERE ctid IN (SELECT ctid FROM whole WHERE a = 2 LIMIT 1)");
  app_->run(
      "INSERT INTO pair VALUES (1, 'p', 2), (2, 'q', 1); UPDATE pair SET a = 9 WHERE b = 1; DELETE FROM pair "
      "WHERE b = 2");
  app_->run(
      "INSERT INTO typed VALUES (1, '2020-01-01 12:00+05', 'NaN', 'Infinity', '\\x00ff', '1 year 2 days', "
      "'0044-03-15 BC', "
      "'{{1,NULL}}', '[1,5)', '{\"b\":1,\"a\":null}', 'ab'), (-9223372036854775808, 'infinity', 1e100, "
      "5e-324, '', '0', "
      "'infinity', '{}', 'empty', 'null', '')");
  sync();
  expect_same({"t", "whole", "pair", "typed"});
  app_->run(
      "BEGIN; INSERT INTO pair VALUES (5, 'r', 5); TRUNCATE t, pair RESTART IDENTITY CASCADE; INSERT INTO t "
      "VALUES (1, 'new'); COMMIT");
  sync();
  expect_same({"t", "pair"});
  bool restart = false, absent = false;
  for (const auto& part : parts()) {
    for (const auto& change : part.changes) {
      restart |= change.operation == Operation::truncate && change.restart_sequences;
      absent |= !change.absent.empty();
    }
  }
  EXPECT_TRUE(restart);
  EXPECT_TRUE(absent) << "no update lacked its unchanged value, so this test did not see one";
}

TEST_F(Stream, GeneratedColumnsDoNotCome) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, x text)");
  publish("t");
  start();
  app_->run("INSERT INTO t(id, x) VALUES (1, 'a')");
  sync();
  auto part = parts().at(0);
  EXPECT_EQ(part.relations[0].columns, (std::vector<std::string>{"id", "x"}));
  EXPECT_EQ(part.changes[0].row, (Row{"1", "a"}));
  EXPECT_EQ(part.relations[0].table, name_ + ".t");
}

// The order of the key's columns is not in the stream; the caller may know it.
TEST_F(Stream, PartitionsComeAsTheirRoot) {
  app_->run(
      "CREATE TABLE t (id int PRIMARY KEY, x text) PARTITION BY RANGE (id);"
      "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE t2 PARTITION OF t FOR VALUES "
      "FROM (10) TO (20)");
  app_->run("CREATE PUBLICATION " + name_ + " FOR TABLE t WITH (publish_via_partition_root = true)");
  ensure_slot(source(), name_, false, milliseconds(0));
  start();
  app_->run("INSERT INTO t VALUES (1, 'a'), (12, 'b')");
  app_->run("UPDATE t SET id = 15 WHERE id = 1");
  sync();
  expect_same({"t"});
  EXPECT_EQ(parts().size(), 2u);
}

TEST_F(Stream, LargeTransactionsAreStreamedWhileTheyInterleave) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  options_.max_part_bytes = 64 << 10;
  publish("t");
  start();
  postgres::Connection other(source());
  other.run("SET search_path = " + name_ + "; BEGIN");
  app_->run("BEGIN");
  auto insert = [](postgres::Connection& connection, int from, const char* mark) {
    connection.run("INSERT INTO t SELECT i, repeat('" + std::string(mark) + "', 30) FROM generate_series(" +
                   std::to_string(from) + ", " + std::to_string(from + 1999) + ") i");
  };
  for (int round = 0; round < 3; ++round) {
    insert(*app_, 100000 + round * 2000, "a");
    insert(other, 200000 + round * 2000, "b");
    app_->run("SAVEPOINT s");
    insert(*app_, 300000 + round * 2000, "aborted");
    app_->run("ROLLBACK TO s");
    other.run("SAVEPOINT s; UPDATE t SET x = 'kept' WHERE id % 10 = 3; RELEASE s");
  }
  admin_->run("INSERT INTO t VALUES (1, 'small')");
  EXPECT_TRUE(eventually([&] { return capture_->progress().spool_bytes > 500000; }))
      << "nothing was streamed";
  EXPECT_TRUE(eventually([&] { return capture_->progress().transaction == 1; }))
      << "the small one waits for the large";
  other.run("COMMIT");
  app_->run("COMMIT");
  sync();
  expect_same({"t"});
  EXPECT_EQ(replica().transactions(), 3u);
  EXPECT_GT(parts().size(), 10u);
  EXPECT_EQ(capture_->progress().spool_bytes, 0u);
  app_->run("BEGIN");
  insert(*app_, 400000, "never");
  EXPECT_TRUE(eventually([&] { return capture_->progress().spool_bytes > 0; }));
  app_->run("ROLLBACK");
  sync();
  EXPECT_TRUE(eventually([&] { return capture_->progress().spool_bytes == 0; }));
  EXPECT_EQ(replica().transactions(), 3u);
}

TEST_F(Stream, OpenTransactionsThatDoNotFitAreLeftToTheServer) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  options_.spool_limit = 300 << 10;
  publish("t");
  start();
  postgres::Connection other(source());
  other.run("SET search_path = " + name_ + "; BEGIN");
  std::uint64_t most = 0;
  for (int round = 0; round < 5; ++round) {
    other.run("INSERT INTO t SELECT i, repeat('x', 50) FROM generate_series(" + std::to_string(round * 2000) +
              ", " + std::to_string(round * 2000 + 1999) + ") i");
    most = std::max(most, capture_->progress().spool_bytes);
  }
  EXPECT_TRUE(eventually([&] { return spool_full_.load(); })) << "the limit was not met";
  EXPECT_LE(most, options_.spool_limit + (256 << 10));
  app_->run("INSERT INTO t VALUES (-1, 'small')");
  sync();
  EXPECT_EQ(replica().transactions(), 1u) << "others wait for the one that did not fit";
  EXPECT_EQ(capture_->progress().spool_bytes, 0u);
  other.run("COMMIT");
  sync();
  expect_same({"t"});
  EXPECT_EQ(replica().transactions(), 2u);
}

TEST_F(Stream, ASpoolOfNothingLeavesAllToTheServer) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  options_.spool_limit = 0;
  publish("t");
  start();
  app_->run("BEGIN; INSERT INTO t SELECT i, repeat('x', 50) FROM generate_series(1, 5000) i");
  app_->run("COMMIT");
  sync();
  expect_same({"t"});
  EXPECT_FALSE(spool_full_);
}

// Parts become durable one by one, and what ends within the transaction is as if it had never begun.
TEST_F(Stream, ALongTransactionCanBeReadBeforeItsEnd) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  options_.max_part_bytes = 64 << 10;
  publish("t");
  std::vector<std::uint64_t> seen;
  std::size_t give_up_at = 4;
  on_open_ = [&](std::uint64_t sequence) {
    JournalReader reader(scratch_.file("state.db"));
    EXPECT_EQ(reader.end(), 0u) << "the transaction is closed";
    EXPECT_FALSE(reader.next(0)) << "read without a word that it is open";
    auto entry = reader.next(sequence - 1, sequence);
    ASSERT_TRUE(entry) << sequence;
    EXPECT_FALSE(entry->closes);
    EXPECT_EQ(entry->previous, reader.digest_at(sequence - 1).value_or("none"));
    EXPECT_FALSE(reader.next(sequence, sequence));
    seen.push_back(sequence);
    if (seen.size() == give_up_at) throw Error("given up", "", Advice::reconnect);
  };
  start();
  app_->run("INSERT INTO t SELECT i, repeat('x', 50) FROM generate_series(1, 8000) i");
  EXPECT_EQ(wait_for_failure(), "given up");
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(parts().size(), 0u);
  stop();
  start();
  sync();
  expect_same({"t"});
  EXPECT_EQ(replica().transactions(), 1u);
  EXPECT_EQ(seen[give_up_at], 1u) << "what was left of the first attempt was not taken back";
  EXPECT_GT(seen.size(), give_up_at + 4);
}

TEST_F(Stream, AShapeThatChangesWithinALongTransactionIsToldSo) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  options_.max_part_bytes = 64 << 10;
  publish("t");
  std::vector<bool> within;
  std::size_t open = 0, open_then = 0;
  on_open_ = [&](std::uint64_t) { ++open; };
  on_relation_changed_ = [&](const RelationChanged& change) {
    within.push_back(change.within);
    open_then = open;
  };
  start();
  app_->run("INSERT INTO t VALUES (0, '')");
  app_->run("BEGIN; INSERT INTO t SELECT i, repeat('x', 50) FROM generate_series(1, 4000) i");
  app_->run(
      "ALTER TABLE t ADD COLUMN y int; INSERT INTO t SELECT i, repeat('x', 50), i FROM generate_series(4001, "
      "8000) i");
  app_->run("COMMIT; ALTER TABLE t ADD COLUMN z int; INSERT INTO t VALUES (-1)");
  sync();
  EXPECT_EQ(within, (std::vector<bool>{true, false}));
  EXPECT_GT(open_then, 1u);
  EXPECT_EQ(open, open_then) << "behind a change of the shape the transaction is to stay whole";
}

TEST_F(Stream, PreparedTransactionsSurviveARestart) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  publish("t", true);
  start();
  auto prepare = [&](const std::string& sql, const std::string& gid) {
    app_->run("BEGIN");
    app_->run(sql);
    app_->run("PREPARE TRANSACTION '" + name_ + gid + "'");
  };
  prepare("INSERT INTO t VALUES (1, 'prepared')", "a");
  prepare("INSERT INTO t SELECT i, repeat('y', 50) FROM generate_series(1000, 4000) i", "b");
  prepare("INSERT INTO t VALUES (3, 'given up')", "c");
  app_->run("INSERT INTO t VALUES (2, 'after')");
  sync();
  EXPECT_EQ(replica().transactions(), 1u);
  std::uint64_t held = capture_->progress().durable_lsn;
  EXPECT_LT(slot().confirmed_flush_lsn, held) << "the server would not send the prepared ones again";
  stop();
  start();
  sync();
  app_->run("COMMIT PREPARED '" + name_ + "b'");
  app_->run("ROLLBACK PREPARED '" + name_ + "c'");
  app_->run("INSERT INTO t VALUES (5, 'between')");
  app_->run("COMMIT PREPARED '" + name_ + "a'");
  sync();
  expect_same({"t"});
  EXPECT_EQ(replica().transactions(), 4u);
  EXPECT_TRUE(eventually([&] { return slot().confirmed_flush_lsn > held; }));
}

TEST_F(Stream, WithoutTwoPhaseAPreparedTransactionComesWhenCommitted) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  publish("t");
  start();
  app_->run("BEGIN; INSERT INTO t VALUES (1, 'x'); PREPARE TRANSACTION '" + name_ + "'");
  sync();
  EXPECT_EQ(replica().transactions(), 0u);
  app_->run("COMMIT PREPARED '" + name_ + "'");
  sync();
  expect_same({"t"});
}

// Where a transaction came from is kept with it, also when it was streamed; from where is no reason to leave
// it out.
TEST_F(Stream, OriginsAreKept) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  publish("t");
  start();
  admin_->run("SELECT pg_replication_origin_create('elsewhere')");
  admin_->run("SELECT pg_replication_origin_session_setup('elsewhere')");
  admin_->run(
      "BEGIN; SELECT pg_replication_origin_xact_setup('0/123', now()); INSERT INTO t VALUES (1, 'x'); "
      "COMMIT");
  admin_->run("INSERT INTO t SELECT i, repeat('y', 50) FROM generate_series(1000, 4000) i");
  admin_->run("SELECT pg_replication_origin_session_reset()");
  app_->run("INSERT INTO t VALUES (2, 'of its own')");
  sync();
  admin_->run("SELECT pg_replication_origin_drop('elsewhere')");
  expect_same({"t"});
  std::vector<std::string> origins;
  for (const auto& part : parts()) {
    if (part.last) origins.push_back(part.stamp->origin);
  }
  EXPECT_EQ(origins, (std::vector<std::string>{"elsewhere", "elsewhere", ""}));
}

TEST_F(Stream, AMessageSaysUpToWhereAllIsJournalled) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  publish("t");
  start();
  sync();
  EXPECT_EQ(sequence_at("nonce 1"), 0u);
  app_->run("INSERT INTO t VALUES (1, 'x')");
  sync();
  EXPECT_EQ(sequence_at("nonce 2"), 1u);
  app_->run(
      "SELECT pg_logical_emit_message(true, 'another', 'x'), pg_logical_emit_message(false, 'tidegate', "
      "'plain')");
  sync();
  EXPECT_EQ(sequence_at("plain"), 1u);
  EXPECT_FALSE(messages_.contains("x"));
  EXPECT_EQ(parts().size(), 1u) << "messages alone make no journal row";
  EXPECT_EQ(capture_->progress().sequence, 1u);
  EXPECT_GT(capture_->progress().commit_time_us, 1600000000000000);
}

TEST_F(Stream, AnIdlePublicationStillLetsTheLogGo) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE unpublished (id int)");
  publish("t");
  start();
  sync();
  auto before = slot().confirmed_flush_lsn;
  app_->run("INSERT INTO unpublished SELECT generate_series(1, 5000)");
  auto written = postgres::parse_lsn(admin_->run("SELECT pg_current_wal_lsn()").text(0, 0));
  EXPECT_LT(before, written);
  EXPECT_TRUE(eventually([&] { return slot().confirmed_flush_lsn >= written; }))
      << "the source's log grows for ever";
  stop();
  open();
  EXPECT_GE(CaptureState(*state_).held()->end_lsn, slot().confirmed_flush_lsn)
      << "the server was told more than is kept";
  EXPECT_EQ(parts().size(), 0u);
}

TEST_F(Stream, AChangedShapeIsToldBeforeItsFirstRow) {
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  publish("t");
  std::vector<RelationChanged> changes;
  bool refuse = true;
  on_relation_changed_ = [&](const RelationChanged& change) {
    changes.push_back(change);
    if (refuse) throw Refused("source-too-old", "no", "");
  };
  start();
  app_->run("INSERT INTO t VALUES (1, 'before')");
  app_->run(
      "BEGIN; INSERT INTO t VALUES (2, 'in'); ALTER TABLE t ADD COLUMN y int DEFAULT 5; INSERT INTO t VALUES "
      "(3, 'z'); COMMIT");
  EXPECT_EQ(wait_for_failure(), "source-too-old");
  EXPECT_EQ(replica().transactions(), 1u);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].before.columns.size(), 2u);
  EXPECT_EQ(changes[0].now.columns.size(), 3u);
  EXPECT_EQ(changes[0].now.table, name_ + ".t");
  stop();
  start();
  EXPECT_EQ(wait_for_failure(), "source-too-old") << "the same again";
  stop();
  refuse = false;
  start();
  sync();
  auto all = parts();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].changes.size(), 2u);
  EXPECT_NE(all[1].changes[0].relation, all[1].changes[1].relation);
  EXPECT_EQ(all[1].changes[0].relation, all[0].changes[0].relation)
      << "an id stays with its shape across restarts";
  EXPECT_EQ(changes.size(), 3u);
  stop();
  open();
  EXPECT_EQ(CaptureState(*state_).last_shapes().at(0).columns.size(), 3u);
}

// A transaction that is read to its end before it can be kept or dropped must not be kept in memory.
TEST_F(Stream, MemoryIsBounded) {
  auto peak_kb = [] {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) return std::stol(line.substr(6));
    }
    return 0L;
  };
  int rows = std::getenv("TIDEGATE_LONG") ? 2000000 : 300000;
  app_->run("CREATE TABLE t (id int PRIMARY KEY, x text)");
  publish("t");
  for (bool streamed : {false, true}) {
    admin_->run(std::string("ALTER SYSTEM SET logical_decoding_work_mem = '") + (streamed ? "64kB" : "2GB") +
                "'");
    admin_->run("SELECT pg_reload_conf()");
    std::this_thread::sleep_for(milliseconds(300));
    std::ofstream("/proc/self/clear_refs") << "5";
    long before = peak_kb();
    start();
    app_->run("INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, " + std::to_string(rows) +
              ") i");
    messages_.clear();
    std::string nonce = streamed ? "streamed" : "whole";
    app_->run("SELECT pg_logical_emit_message(true, 'tidegate', '" + nonce + "')");
    EXPECT_TRUE(eventually(
        [&] {
          std::lock_guard lock(mutex_);
          return messages_.contains(nonce);
        },
        milliseconds(200000)));
    EXPECT_LT(peak_kb() - before, 120 * 1024) << nonce;
    stop();
    app_->run("TRUNCATE t");
  }
  admin_->run("ALTER SYSTEM RESET logical_decoding_work_mem");
  admin_->run("SELECT pg_reload_conf()");
  std::uint64_t changes = 0;
  JournalReader reader(scratch_.file("state.db"));
  for (std::uint64_t sequence = 0; auto entry = reader.next(sequence); ++sequence)
    changes += entry->part.changes.size();
  EXPECT_EQ(changes, 2u * static_cast<unsigned>(rows) + 1) << "with the first TRUNCATE";
}

}  // namespace
}  // namespace tidegate
