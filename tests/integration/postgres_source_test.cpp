#include "replicator/doctor/postgres_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "integration/server.hpp"

namespace tidegate {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

class PostgresSource : public testing_support::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (other_)
      other_->run(
          "DROP SCHEMA IF EXISTS doctored CASCADE; CREATE SCHEMA doctored; SET search_path = doctored");
  }
  void TearDown() override {
    if (other_) other_->run("RESET ROLE; DROP SCHEMA doctored CASCADE");
  }
  PostgresSourceFacts facts() {
    other_->run("SET search_path = ''");
    return read_postgres_source(*other_, {{"doctored.*"}, {}}, "doctored", "doctored");
  }
};

TEST_F(PostgresSource, WhatTheRoleMay) {
  other_->run("CREATE TABLE t(id serial PRIMARY KEY); SELECT lo_create(0)");
  const auto found = facts();
  EXPECT_TRUE(found.may_replicate && found.may_create);
  EXPECT_FALSE(found.has_slot || found.publication);
  EXPECT_EQ(found.encoding, "UTF8");
  EXPECT_EQ(found.large_objects, 1u);
  EXPECT_GT(found.wal_bytes_per_hour, 0u);
  EXPECT_THAT(found.unreadable, IsEmpty());
  for (const auto& one : findings_of(found, {})) EXPECT_NE(one.level, Finding::Level::block) << one.message;
  other_->run("SELECT lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata");
}

TEST_F(PostgresSource, WhatAWeakRoleMayNot) {
  other_->run(
      "CREATE TABLE a_hidden(id int PRIMARY KEY); ALTER TABLE a_hidden ENABLE ROW LEVEL SECURITY;"
      "CREATE TABLE b_closed(id int PRIMARY KEY); CREATE UNLOGGED TABLE u(id int PRIMARY KEY);"
      "GRANT USAGE ON SCHEMA doctored TO anon; REVOKE ALL ON ALL TABLES IN SCHEMA doctored FROM anon;"
      "GRANT SELECT ON a_hidden TO anon; SET ROLE anon");
  const auto found = facts();
  EXPECT_FALSE(found.may_replicate || found.may_create);
  EXPECT_THAT(found.unreadable, ElementsAre("doctored.b_closed"));
  EXPECT_THAT(found.row_security, ElementsAre("doctored.a_hidden"));
  EXPECT_THAT(found.not_carried, Contains(capture::CatalogNote{"unlogged table", "doctored.u", ""}));
  EXPECT_FALSE(found.tables.at(0).owned);
}

TEST_F(PostgresSource, TheWholeExaminationNamesWhatThePgDumpShows) {
  other_->run("CREATE TABLE t(id int PRIMARY KEY); CREATE VIEW doctored_view AS SELECT id FROM t");
  Settings settings;
  settings.source.end = parse_endpoint(testing_support::server().url);
  settings.tables.include = {"doctored.*"};
  std::vector<std::string> messages;
  for (const auto& one : examine_postgres_source(settings, "doctored", "doctored"))
    messages.push_back(one.message);
  EXPECT_THAT(messages, Contains("view doctored.doctored_view is not carried over"));
}

}  // namespace
}  // namespace tidegate
