#include "capture/postgres/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "capture/postgres/enums.hpp"
#include "capture/postgres/publication.hpp"
#include "integration/server.hpp"

namespace tidegate {
namespace {

using capture::PostgresTable;
using capture::ReplicaIdentity;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PostgresCatalog : public testing_support::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (!other_) return;
    schema_ = name_;
    std::replace(schema_.begin(), schema_.end(), '.', '_');
    other_->run("CREATE SCHEMA " + tidegate::quoted(schema_) +
                "; SET search_path = " + tidegate::quoted(schema_));
    other_->run("DROP PUBLICATION IF EXISTS catalog_test");
  }
  std::vector<PostgresTable> tables(std::vector<std::string> include = {},
                                    std::vector<std::string> exclude = {},
                                    std::vector<capture::CatalogNote>* notes = nullptr) {
    if (include.empty()) include = {schema_ + ".*"};
    other_->run("SET search_path = ''");
    auto found = capture::read_catalog(*other_, include, exclude, notes);
    other_->run("SET search_path = " + tidegate::quoted(schema_));
    return found;
  }
  PostgresTable table(const std::string& name) {
    for (auto& each : tables()) {
      if (each.name == name) return each;
    }
    ADD_FAILURE() << "no table " << name;
    return {};
  }
  static std::vector<std::string> names(const std::vector<PostgresTable>& tables) {
    std::vector<std::string> names;
    for (const auto& table : tables) names.push_back(table.name);
    return names;
  }
  std::string refusal(const std::function<void()>& work) {
    try {
      work();
    } catch (const Refused& refused) {
      return refused.code();
    }
    return "nothing was refused";
  }
  capture::PublicationChanges ensure(std::vector<PostgresTable>& chosen, bool consent = false) {
    return capture::ensure_publication(*other_, "catalog_test", chosen, {consent});
  }

  std::string schema_;
};

TEST_F(PostgresCatalog, ColumnsAsTheyAre) {
  other_->run(R"(CREATE TYPE "Mood" AS ENUM ('a');
    CREATE COLLATION loose (provider = icu, locale = 'und', deterministic = false);
    CREATE TABLE t(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone int,
      v varchar(80) COLLATE "C" NOT NULL DEFAULT 'x', c char(5), b bit(3), n numeric(10,2)[], m "Mood",
      s text COLLATE "und-x-icu", loose text COLLATE loose, twice bigint GENERATED ALWAYS AS (id * 2) STORED);
    ALTER TABLE t DROP COLUMN gone;
    INSERT INTO t(v) VALUES ('1');
    ALTER TABLE t ADD COLUMN late int DEFAULT 7)");
  const PostgresTable t = table("t");
  const auto& c = t.columns;
  ASSERT_EQ(c.size(), 10u);
  EXPECT_EQ(c[0].identity, "a");
  EXPECT_TRUE(c[0].not_null && c[0].c_collation);
  EXPECT_EQ(c[1].name, "v");
  EXPECT_EQ(c[1].number, 3);
  EXPECT_EQ(c[1].type, "character varying(80)");
  EXPECT_EQ(c[1].type_unbound, "character varying");
  EXPECT_EQ(c[1].default_sql, "'x'::character varying");
  EXPECT_TRUE(c[1].c_collation && c[1].deterministic);
  EXPECT_EQ(c[2].type_unbound, "bpchar");
  EXPECT_EQ(c[3].type_unbound, "\"bit\"");
  EXPECT_EQ(c[4].type, "numeric(10,2)[]");
  EXPECT_EQ(c[5].type, tidegate::quoted(schema_) + ".\"Mood\"");
  EXPECT_FALSE(c[6].c_collation);
  EXPECT_TRUE(c[6].deterministic);
  EXPECT_FALSE(c[7].deterministic);
  EXPECT_TRUE(c[8].generated);
  EXPECT_EQ(c[8].generated_sql, "(id * 2)");
  EXPECT_TRUE(c[9].has_missing && t.has_missing_values());
  EXPECT_FALSE(c[8].has_missing);
  ASSERT_EQ(t.sequences.size(), 1u);
  EXPECT_EQ(t.sequences[0].name, "t_id_seq");
  EXPECT_EQ(t.sequences[0].column, "id");
  EXPECT_TRUE(t.owned);
  EXPECT_GT(t.bytes, 0u);
  EXPECT_EQ(t.files.size(), 1u);
  EXPECT_EQ(t.files[0].file_node, t.file_node);
}

TEST_F(PostgresCatalog, IdentitiesThatTheStreamWillGive) {
  other_->run(R"(CREATE TABLE a_key(b int, a int, c int, PRIMARY KEY (a, b) INCLUDE (c));
    CREATE TABLE b_deferrable(id int PRIMARY KEY DEFERRABLE);
    CREATE TABLE c_nullable(id int UNIQUE);
    CREATE TABLE d_index(id int PRIMARY KEY, code text NOT NULL);
    CREATE UNIQUE INDEX d_code ON d_index(code);
    ALTER TABLE d_index REPLICA IDENTITY USING INDEX d_code;
    CREATE TABLE e_full(id int PRIMARY KEY); ALTER TABLE e_full REPLICA IDENTITY FULL;
    CREATE TABLE f_nothing(id int PRIMARY KEY); ALTER TABLE f_nothing REPLICA IDENTITY NOTHING;
    CREATE TABLE g_lost(id int PRIMARY KEY, code text NOT NULL UNIQUE);
    ALTER TABLE g_lost REPLICA IDENTITY USING INDEX g_lost_code_key;
    ALTER TABLE g_lost DROP CONSTRAINT g_lost_code_key)");
  const auto found = tables();
  ASSERT_EQ(found.size(), 7u);
  EXPECT_THAT(found[0].identity, ElementsAre("a", "b"));
  EXPECT_THAT(found[1].identity, IsEmpty());
  EXPECT_TRUE(found[1].deferrable_key);
  EXPECT_THAT(found[1].primary_key, ElementsAre("id"));
  EXPECT_THAT(found[2].identity, IsEmpty());
  EXPECT_THAT(found[3].identity, ElementsAre("code"));
  EXPECT_THAT(found[3].primary_key, ElementsAre("id"));
  EXPECT_EQ(found[4].replica_identity, ReplicaIdentity::full);
  EXPECT_THAT(found[4].identity, IsEmpty());
  EXPECT_TRUE(found[4].usable_identity());
  EXPECT_FALSE(found[5].usable_identity());
  EXPECT_FALSE(found[6].usable_identity());
  std::vector<std::string> lacking;
  for (const auto& one : capture::identity_obstacles(found)) lacking.push_back(one.table);
  EXPECT_THAT(lacking, ElementsAre(schema_ + ".b_deferrable", schema_ + ".c_nullable", schema_ + ".f_nothing",
                                   schema_ + ".g_lost"));
}

TEST_F(PostgresCatalog, PartitionsAreTheirRoot) {
  other_->run(R"(CREATE TABLE root(id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE p1 PARTITION OF root FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE inner_ PARTITION OF root DEFAULT PARTITION BY LIST (id);
    CREATE TABLE p2 PARTITION OF inner_ DEFAULT;
    CREATE TABLE mother(id int PRIMARY KEY); CREATE TABLE child(more int) INHERITS (mother))");
  EXPECT_THAT(names(tables()), ElementsAre("child", "mother", "root"));
  EXPECT_TRUE(table("child").inherits);
  const auto root = table("root");
  EXPECT_TRUE(root.partitioned && root.usable_identity());
  ASSERT_EQ(root.files.size(), 2u);
  EXPECT_EQ(root.files[0].name, "p1");
  EXPECT_EQ(root.files[1].name, "p2");
  EXPECT_EQ(root.file_node, 0u);
  other_->run("ALTER TABLE p2 REPLICA IDENTITY FULL");
  EXPECT_THAT(table("root").other_identity, ElementsAre(schema_ + ".p2"));
  EXPECT_FALSE(table("root").usable_identity());
}

TEST_F(PostgresCatalog, PatternsChoose) {
  const std::string second = schema_ + "_2";
  other_->run(
      "CREATE TABLE users(id int PRIMARY KEY); CREATE TABLE \"Orders\"(id int PRIMARY KEY);"
      "CREATE UNLOGGED TABLE u(id int PRIMARY KEY); CREATE VIEW v AS SELECT 1; CREATE TEMP TABLE tmp(i int);"
      "CREATE SCHEMA " +
      tidegate::quoted(second) + "; CREATE TABLE " + tidegate::quoted(second) + ".users(id int PRIMARY KEY)");
  EXPECT_THAT(names(tables()), ElementsAre("Orders", "users"));
  EXPECT_EQ(tables({"users"}, {"auth.*"}).size(), 2u);
  EXPECT_EQ(tables({second + ".users"}).size(), 1u);
  EXPECT_THAT(names(tables({schema_ + "*.*"}, {"orders"})), ElementsAre("users", "users"));
  std::vector<capture::CatalogNote> notes;
  tables({schema_ + ".*", "nowhere"}, {}, &notes);
  EXPECT_THAT(notes, testing::Contains(capture::CatalogNote{"unmatched pattern", "nowhere", ""}));
  EXPECT_THAT(notes, testing::Contains(capture::CatalogNote{"unlogged table", schema_ + ".u", ""}));
  EXPECT_THAT(notes, testing::Contains(capture::CatalogNote{"excluded table", second + ".users", ""}));
}

TEST_F(PostgresCatalog, NothingOfTheSystemIsChosenByDefault) {
  other_->run("CREATE TABLE t(id int PRIMARY KEY)");
  other_->run("SET search_path = ''");
  for (const auto& each : capture::read_catalog(*other_, {}, {"*.*.*"})) {
    EXPECT_FALSE(each.schema.starts_with("pg_") || each.schema == "information_schema" ||
                 each.schema == "tidegate")
        << each.source;
  }
}

TEST_F(PostgresCatalog, ASchemaWithADotIsRefused) {
  other_->run("CREATE TABLE " + tidegate::quoted(name_) + ".t(id int PRIMARY KEY)");
  EXPECT_EQ(refusal([&] { tables({name_ + ".*"}); }), "schema-name-with-dot");
  EXPECT_THAT(names(tables({name_ + ".*"}, {name_ + ".*"})), IsEmpty());
}

TEST_F(PostgresCatalog, TheFingerprintFollowsTheShapeOnly) {
  other_->run("CREATE TABLE t(id int PRIMARY KEY, v int, w text)");
  const auto before = capture::fingerprint(table("t"));
  other_->run("INSERT INTO t VALUES (1, 1, ''); CREATE INDEX ON t(v)");
  other_->run("VACUUM FULL t");
  EXPECT_EQ(capture::fingerprint(table("t")), before);
  std::set<std::string> seen = {before};
  for (const char* change :
       {"ALTER TABLE t ALTER v TYPE bigint", "ALTER TABLE t RENAME v TO x",
        "ALTER TABLE t DROP w; ALTER TABLE t ADD w text", "ALTER TABLE t ALTER x SET NOT NULL",
        "ALTER TABLE t REPLICA IDENTITY FULL", "ALTER TABLE t DROP CONSTRAINT t_pkey"}) {
    other_->run(change);
    EXPECT_TRUE(seen.insert(capture::fingerprint(table("t"))).second) << change;
  }
}

TEST_F(PostgresCatalog, ASourceTableSaysWhatEventsCarry) {
  other_->run(
      "CREATE TABLE t(id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, code char(4) NOT NULL UNIQUE,"
      " g int GENERATED ALWAYS AS (id + 1) STORED);"
      "ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key");
  const auto as = capture::as_source_table(table("t"));
  EXPECT_EQ(as.name, schema_ + ".t");
  EXPECT_THAT(as.primary_key, ElementsAre("code"));
  EXPECT_EQ(as.columns[0].default_sql, "GENERATED BY DEFAULT AS IDENTITY");
  EXPECT_EQ(as.columns[1].declared_type, "character(4)");
  EXPECT_EQ(as.columns[2].generated_sql, "(id + 1)");
}

TEST_F(PostgresCatalog, EnumsThatRowsAreMadeOf) {
  other_->run(
      "CREATE TYPE plain AS ENUM ('b', 'a'); CREATE TYPE listed AS ENUM ('x'); CREATE TYPE within AS ENUM "
      "('x');"
      "CREATE TYPE checked AS ENUM ('x'); CREATE TYPE ranged AS ENUM ('x', 'y'); CREATE TYPE unused AS ENUM "
      "('x');"
      "CREATE DOMAIN one_of AS checked; CREATE TYPE part AS (n int, w within[]); CREATE TYPE span AS RANGE "
      "(subtype = ranged);"
      "CREATE TABLE t (id int PRIMARY KEY, p plain, l listed[], s one_of[], w part, r span)");
  auto enums = [&] { return capture::read_enums(*other_, tables()); };
  std::vector<std::string> names;
  for (const auto& type : enums()) names.push_back(type.name);
  EXPECT_THAT(names, ElementsAre("checked", "listed", "plain", "ranged", "within"));
  const auto before = enums().at(2);
  EXPECT_EQ(before.labels.at(0).text, "b");
  EXPECT_EQ(capture::read_enums_like(*other_, {before}), (std::vector<capture::EnumType>{before}));
  std::string mark = capture::catalog_mark(*other_);
  other_->run("ALTER TYPE plain ADD VALUE 'm' BEFORE 'a'");
  EXPECT_NE(capture::catalog_mark(*other_), mark);
  mark = capture::catalog_mark(*other_);
  other_->run("ALTER TYPE plain RENAME VALUE 'b' TO 'c'");
  EXPECT_NE(capture::catalog_mark(*other_), mark);
  const auto after = enums().at(2);
  ASSERT_EQ(after.labels.size(), 3u);
  EXPECT_EQ(after.labels[0].oid, before.labels[0].oid) << "a label that is renamed keeps its OID";
  EXPECT_EQ(after.labels[0].text + after.labels[1].text + after.labels[2].text, "cma");
}

TEST_F(PostgresCatalog, ThePublicationHoldsExactlyTheChosenTables) {
  other_->run(
      R"(CREATE TABLE a(id int PRIMARY KEY); CREATE TABLE b(id int PRIMARY KEY) PARTITION BY LIST (id);
    CREATE TABLE b1 PARTITION OF b DEFAULT; CREATE TABLE c(id int PRIMARY KEY);
    CREATE TABLE "Child"(PRIMARY KEY (id)) INHERITS (a))");
  auto some = tables({schema_ + ".a", schema_ + ".b"});
  EXPECT_TRUE(ensure(some).created);
  auto state = capture::read_publication(*other_, "catalog_test");
  ASSERT_TRUE(state);
  EXPECT_THAT(state->tables, ElementsAre(schema_ + ".a", schema_ + ".b"));
  EXPECT_TRUE(state->ours && state->via_root && state->all_operations);
  auto again = ensure(some);
  EXPECT_FALSE(again.created);
  EXPECT_THAT(again.altered, IsEmpty());
  auto all = tables();
  EXPECT_THAT(ensure(all).altered,
              ElementsAre("it lacks table " + schema_ + ".Child", "it lacks table " + schema_ + ".c"));
  other_->run(
      "ALTER PUBLICATION catalog_test SET TABLE ONLY a WHERE (id > 3);"
      "ALTER PUBLICATION catalog_test SET (publish = 'insert', publish_via_partition_root = false)");
  state = capture::read_publication(*other_, "catalog_test");
  EXPECT_EQ(capture::differences(*state, some).size(), 4u);
  ensure(some);
  EXPECT_THAT(capture::differences(*capture::read_publication(*other_, "catalog_test"), some), IsEmpty());
  capture::drop_publication(*other_, "catalog_test");
  EXPECT_FALSE(capture::read_publication(*other_, "catalog_test"));
}

TEST_F(PostgresCatalog, APublicationOfOthersIsLeftAlone) {
  other_->run("CREATE TABLE a(id int PRIMARY KEY); CREATE PUBLICATION catalog_test FOR TABLE a");
  auto all = tables();
  EXPECT_EQ(refusal([&] { ensure(all); }), "publication-not-ours");
  capture::drop_publication(*other_, "catalog_test");
  EXPECT_TRUE(capture::read_publication(*other_, "catalog_test"));
}

TEST_F(PostgresCatalog, APublishedTableStaysSo) {
  other_->run("CREATE TABLE a(id int PRIMARY KEY); CREATE TABLE b(id int)");
  std::vector<PostgresTable> first{table("a")};
  ensure(first);
  other_->run("ALTER TABLE a REPLICA IDENTITY NOTHING");
  const capture::PublicationOptions lenient{.keep_published = true};
  auto again = [&](std::vector<PostgresTable> chosen) {
    return capture::ensure_publication(*other_, "catalog_test", chosen, lenient);
  };
  EXPECT_THAT(again({table("a")}).altered, IsEmpty());
  EXPECT_EQ(refusal([&] { again(tables()); }), "no-replica-identity");
  EXPECT_EQ(refusal([&] { ensure(first = {table("a")}); }), "no-replica-identity");
}

TEST_F(PostgresCatalog, ATableWithoutIdentityIsPublishedOnlyWithConsent) {
  other_->run(R"(CREATE TABLE log(line text); INSERT INTO log VALUES ('x');
    CREATE TABLE parts(at date) PARTITION BY RANGE (at); CREATE TABLE part PARTITION OF parts DEFAULT;
    INSERT INTO parts VALUES ('2026-01-01'))");
  auto all = tables();
  EXPECT_EQ(refusal([&] { ensure(all); }), "no-replica-identity");
  EXPECT_FALSE(capture::read_publication(*other_, "catalog_test"));
  auto changes = ensure(all, true);
  EXPECT_THAT(changes.identity_full, ElementsAre(schema_ + ".log", schema_ + ".parts"));
  EXPECT_TRUE(all[0].usable_identity());
  // What the rule is for: the application's statements go on working.
  EXPECT_EQ(other_->run("UPDATE log SET line = 'y'").affected(), 1);
  EXPECT_EQ(other_->run("UPDATE parts SET at = '2026-01-02'").affected(), 1);
  EXPECT_EQ(other_->run("DELETE FROM parts").affected(), 1);
}

TEST_F(PostgresCatalog, ALockThatIsNotToBeHadIsWorthAnotherTry) {
  other_->run("CREATE TABLE log(line text)");
  auto all = tables();
  postgres::Connection reader(testing_support::server());
  postgres::Transaction open(reader);
  reader.run("SELECT * FROM " + tidegate::quoted(schema_) + ".log");
  try {
    ensure(all, true);
    FAIL() << "the lock was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.advice(), Advice::retry);
  }
  EXPECT_EQ(other_->run("SELECT 1").integer(0, 0), 1);
}

TEST_F(PostgresCatalog, OnlyOwnersPublish) {
  // auth.users belongs to another role on the target that stands in for the source.
  auto users = tables({"auth.users"});
  ASSERT_EQ(users.size(), 1u);
  EXPECT_FALSE(users[0].owned);
  EXPECT_EQ(refusal([&] { ensure(users); }), "not-table-owner");
}

}  // namespace
}  // namespace tidegate
