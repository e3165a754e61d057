#include <gmock/gmock.h>

#include <chrono>

#include "server.hpp"

namespace tidegate {
namespace {

using postgres::Command;
using postgres::Connection;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing_support::code_of;

class PostgresConnection : public testing_support::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (!IsSkipped()) connection_ = std::make_unique<Connection>(testing_support::server());
  }
  std::string one() { return std::string(connection_->run("SELECT 1").text(0, 0)); }
  std::unique_ptr<Connection> connection_;
};

// As ALTER ROLE … SET or ALTER DATABASE … SET give them.
TEST_F(PostgresConnection, DefaultsOfADatabaseAreNotOurs) {
  auto options = testing_support::server();
  const std::pair<const char*, const char*> settings[] = {
      {"datestyle", "German"},          {"intervalstyle", "iso_8601"},
      {"extra_float_digits", "0"},      {"bytea_output", "escape"},
      {"xmloption", "document"},        {"array_nulls", "off"},
      {"statement_timeout", "5000"},    {"idle_in_transaction_session_timeout", "5000"},
      {"idle_session_timeout", "5000"}, {"default_transaction_isolation", "serializable"},
      {"synchronous_commit", "off"}};
  options.url += "&options=";
  for (const auto& [name, value] : settings)
    options.url += std::string("-c%20") + name + "%3D" + value + "%20";
  Connection connection(options);
  auto now = [&](const std::string& name) { return std::string(connection.run("SHOW " + name).text(0, 0)); };
  EXPECT_EQ(now("datestyle"), "ISO, YMD");
  EXPECT_EQ(now("intervalstyle"), "postgres");
  EXPECT_EQ(now("extra_float_digits"), "3");
  EXPECT_EQ(now("bytea_output"), "hex");
  EXPECT_EQ(now("xmloption"), "content");
  EXPECT_EQ(now("array_nulls"), "on");
  for (const char* limit :
       {"statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"})
    EXPECT_EQ(now(limit), "0") << limit;
  EXPECT_EQ(now("default_transaction_isolation"), "read committed");
  EXPECT_EQ(now("synchronous_commit"), "on") << "an answer to COMMIT must mean that it is durable";
}

TEST_F(PostgresConnection, ACommitThatWaitsForMoreGoesOnToDoSo) {
  auto options = testing_support::server();
  options.url += "&options=-c%20synchronous_commit%3Dremote_apply";
  EXPECT_EQ(Connection(options).run("SHOW synchronous_commit").text(0, 0), "remote_apply");
}

TEST_F(PostgresConnection, APipelineGivesAResultForEachCommand) {
  auto results = connection_->pipeline(
      {{"SELECT $1::int + 1", {"1"}}, {"SELECT $1::text", {std::nullopt}}, {"SELECT $1::int + 1", {"5"}}});
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].integer(0, 0), 2);
  EXPECT_TRUE(results[1].is_null(0, 0));
  EXPECT_EQ(results[2].integer(0, 0), 6);
  EXPECT_TRUE(connection_->pipeline({}).empty());
}

TEST_F(PostgresConnection, AnErrorInTheMiddleLeavesItUsable) {
  for (int bad : {0, 1, 4}) {
    std::vector<Command> commands(5, {"SELECT 1 / $1::int", {"1"}});
    commands[static_cast<std::size_t>(bad)].parameters = {"0"};
    EXPECT_EQ(code_of([&] { connection_->pipeline(commands); }), "22012");
    EXPECT_FALSE(connection_->in_transaction());
    EXPECT_EQ(one(), "1");
    EXPECT_EQ(connection_->pipeline({{"SELECT 1 / $1::int", {"1"}}})[0].integer(0, 0), 1);
  }
}

TEST_F(PostgresConnection, AnErrorInATransactionFailsTheTransaction) {
  postgres::Transaction transaction(*connection_);
  EXPECT_EQ(code_of([&] {
              connection_->pipeline({{"SELECT 1", {}}, {"SELECT 1 / $1::int", {"0"}}});
            }),
            "22012");
  EXPECT_TRUE(connection_->in_transaction());
  EXPECT_EQ(code_of([&] { connection_->run("SELECT 1"); }), "25P02");
  try {
    transaction.commit();
    FAIL() << "a failed transaction was committed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "25P02");
    EXPECT_EQ(error.advice(), Advice::stop);
  }
  EXPECT_EQ(one(), "1");
}

TEST_F(PostgresConnection, ATransactionRollsBackUnlessCommitted) {
  other_->run("CREATE TABLE t(id int)");
  std::string insert = "INSERT INTO " + tidegate::quoted(name_) + ".t VALUES (1)";
  {
    postgres::Transaction transaction(*connection_);
    connection_->run(insert);
  }
  EXPECT_FALSE(connection_->in_transaction());
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre("0"));
  postgres::Transaction transaction(*connection_);
  connection_->run(insert);
  transaction.commit();
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre("1"));
}

// Both sides send more than the sockets hold: whoever only writes waits for ever.
TEST_F(PostgresConnection, BigParametersAndBigAnswersDoNotDeadlock) {
  std::string big(16 << 20, 'x');
  std::vector<Command> commands(4, {"SELECT $1::text", {big}});
  auto results = connection_->pipeline(commands);
  for (const auto& result : results) EXPECT_EQ(result.text(0, 0).size(), big.size());
}

TEST_F(PostgresConnection, ManySmallCommandsDoNotDeadlock) {
  std::vector<Command> commands(20000, {"SELECT repeat('y', 1000) || $1::text", {"1"}});
  EXPECT_EQ(connection_->pipeline(commands).size(), 20000u);
}

TEST_F(PostgresConnection, MoreStatementsThanItKeepsPrepared) {
  auto statement = [](int i) { return Command{"SELECT " + std::to_string(i) + " + $1::int", {"0"}}; };
  for (int i = 0; i < 490; ++i) connection_->pipeline({statement(i)});
  std::vector<Command> commands;
  for (int i = 480; i < 1200; ++i) commands.push_back(statement(i));
  auto results = connection_->pipeline(commands);
  for (int i = 480; i < 1200; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i - 480)].integer(0, 0), i);
  EXPECT_EQ(connection_->pipeline({statement(3)})[0].integer(0, 0), 3);
}

TEST_F(PostgresConnection, ALostCommitIsInDoubt) {
  postgres::Transaction transaction(*connection_);
  connection_->run("SELECT pg_catalog.pg_current_xact_id()");
  other_->run("SELECT pg_terminate_backend($1::int)", {std::to_string(connection_->backend_pid())});
  try {
    transaction.commit();
    FAIL() << "committed on a connection that was ended";
  } catch (const Error& error) {
    EXPECT_EQ(error.advice(), Advice::in_doubt);
  }
  EXPECT_FALSE(connection_->usable());
}

TEST_F(PostgresConnection, ALostConnectionSaysReconnect) {
  other_->run("SELECT pg_terminate_backend($1::int)", {std::to_string(connection_->backend_pid())});
  for (int i = 0; i < 2; ++i) {
    try {
      connection_->pipeline({{"SELECT 1", {}}});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.advice(), Advice::reconnect) << error.what();
    }
  }
}

TEST_F(PostgresConnection, ARefusedCopyIsOver) {
  other_->run("CREATE TABLE t(id int PRIMARY KEY)");
  connection_->copy_begin("COPY " + tidegate::quoted(name_) + ".t FROM STDIN");
  connection_->copy_data("1\n2\n1\n");
  EXPECT_EQ(code_of([&] { connection_->copy_end(); }), "23505");
  EXPECT_EQ(one(), "1");
  connection_->copy_begin("COPY " + tidegate::quoted(name_) + ".t FROM STDIN");
  connection_->copy_data("1\n2\n");
  EXPECT_EQ(connection_->copy_end(), 2);
  connection_->copy_begin("COPY " + tidegate::quoted(name_) + ".t FROM STDIN");
  connection_->copy_data("3\n");
  connection_->copy_abort();
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre("2"));
  EXPECT_EQ(one(), "1");
}

TEST_F(PostgresConnection, ErrorsNameNoValues) {
  other_->run("CREATE TABLE t(secret text CONSTRAINT t_uk UNIQUE CHECK (secret <> 'hush'))");
  std::string insert = "INSERT INTO " + tidegate::quoted(name_) + ".t VALUES ($1)";
  connection_->run(insert, {"hush hush"});
  const std::vector<Command> failing = {
      {"SELECT $1::int", {"hush"}}, {insert, {"hush hush"}}, {insert, {"hush"}}};
  for (const auto& command : failing) {
    try {
      connection_->run(command.sql, command.parameters);
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), Not(HasSubstr("hush")));
    }
  }
  try {
    connection_->run(insert, {"hush hush"});
  } catch (const Error& error) {
    EXPECT_EQ(error.constraint, "t_uk");
    EXPECT_EQ(error.table, "t");
  }
}

TEST_F(PostgresConnection, BytesGoThereAndBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  auto result = connection_->run("SELECT $1::bytea", {postgres::bytea(bytes)});
  EXPECT_EQ(postgres::from_bytea(result.text(0, 0)), bytes);
  EXPECT_EQ(postgres::from_bytea(postgres::bytea("")), "");
}

TEST_F(PostgresConnection, AWrongPasswordIsNotWorthAnotherTry) {
  auto options = testing_support::server();
  auto at = options.url.find('@'), colon = options.url.rfind(':', at);
  options.url.replace(colon + 1, at - colon - 1, "wrong-password");
  try {
    Connection refused(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.advice(), Advice::stop);
    EXPECT_THAT(error.what(), Not(HasSubstr("wrong-password")));
  }
}

}  // namespace
}  // namespace tidegate
