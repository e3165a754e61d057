#include "capture/postgres/watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "integration/server.hpp"

namespace tidegate {
namespace {

class PostgresWatch : public testing_support::ServerTest {
 protected:
  void TearDown() override {
    if (other_)
      other_->run(
          "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'watched'");
  }
  void make_slot() { other_->run("SELECT pg_create_logical_replication_slot('watched', 'pgoutput')"); }
};

TEST_F(PostgresWatch, TheServerAsItIs) {
  const auto before = capture::read_server_facts(*other_);
  EXPECT_EQ(before.wal_level, "logical");
  EXPECT_EQ(before.max_slot_wal_keep_size, std::int64_t{4} << 30);
  EXPECT_EQ(before.slots_max, 5);
  EXPECT_EQ(before.senders_max, 5);
  EXPECT_FALSE(before.is_standby);
  make_slot();
  EXPECT_EQ(capture::read_server_facts(*other_).slots_free(), before.slots_free() - 1);
}

TEST_F(PostgresWatch, ASlotsLagGrowsWithWhatIsWritten) {
  EXPECT_FALSE(capture::watch(*other_, "watched").slot);
  make_slot();
  const auto before = capture::watch(*other_, "watched").slot;
  ASSERT_TRUE(before);
  EXPECT_EQ(before->wal_status, "reserved");
  EXPECT_FALSE(before->active || before->lost());
  ASSERT_TRUE(before->safe_wal_size);
  other_->run("SELECT pg_logical_emit_message(false, 'x', repeat('y', 100000))");
  capture::emit_message(*other_, "");
  const auto after = capture::watch(*other_, "watched").slot;
  EXPECT_GE(after->lag_bytes, before->lag_bytes + 100000);
  EXPECT_GE(after->retained_bytes, after->lag_bytes);
  EXPECT_LT(*after->safe_wal_size, *before->safe_wal_size);
}

TEST_F(PostgresWatch, AHeartbeatIsInTheSlotsStream) {
  make_slot();
  capture::emit_message(*other_, "");
  other_->run("DROP PUBLICATION IF EXISTS watched_pub; CREATE PUBLICATION watched_pub");
  capture::emit_message(*other_, "");
  // Its first byte: B(egin), M(essage), C(ommit).
  EXPECT_THAT(rows("SELECT string_agg(chr(get_byte(data, 0)), '') FROM (SELECT * FROM "
                   "pg_logical_slot_peek_binary_changes('watched', NULL, NULL, 'proto_version', '2', "
                   "'publication_names', 'watched_pub', 'messages', 'true') OFFSET 0) c"),
              testing::ElementsAre(testing::HasSubstr("BMC")));
  other_->run("DROP PUBLICATION watched_pub");
}

TEST_F(PostgresWatch, WhoWritesIsSeenAndWhoReadsIsNot) {
  postgres::Connection writer(testing_support::server()), reader(testing_support::server());
  postgres::Transaction writes(writer), reads(reader);
  writer.run("SELECT pg_catalog.pg_current_xact_id()");
  reader.run("SELECT count(*) FROM pg_catalog.pg_class");
  std::vector<int> pids;
  for (const auto& old : capture::watch(*other_, "watched").old) pids.push_back(old.pid);
  EXPECT_THAT(pids, testing::Contains(writer.backend_pid()));
  EXPECT_THAT(pids, testing::Not(testing::Contains(reader.backend_pid())));
}

TEST_F(PostgresWatch, SequencesOfTheTables) {
  other_->run(
      "CREATE SCHEMA watched; SET search_path = watched;"
      "CREATE SEQUENCE free INCREMENT 10; CREATE TABLE t(id bigserial PRIMARY KEY,"
      " n int GENERATED ALWAYS AS IDENTITY, f int DEFAULT nextval('free'));"
      "CREATE TABLE other(id serial PRIMARY KEY); INSERT INTO t DEFAULT VALUES;"
      "INSERT INTO t DEFAULT VALUES; ALTER SEQUENCE t_n_seq RESTART; SET search_path = ''");
  auto values = capture::read_sequences(*other_, capture::read_catalog(*other_, {"watched.t"}, {}));
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(values[0].name, "free");
  EXPECT_EQ(values[0].column, "f");
  EXPECT_EQ(values[0].increment, 10);
  EXPECT_EQ(values[0].last_value, 11);
  EXPECT_EQ(values[1].table, "watched.t");
  EXPECT_EQ(values[1].last_value, 2);
  EXPECT_EQ(values[2].name, "t_n_seq");
  EXPECT_FALSE(values[2].last_value);
  other_->run("DROP SCHEMA watched CASCADE");
}

}  // namespace
}  // namespace tidegate
