#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/error.hpp"
#include "replicator/schema/column_type.hpp"
#include "replicator/schema/difference.hpp"
#include "replicator/schema/history.hpp"
#include "replicator/schema/statement.hpp"

namespace tidegate::schema {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Ddl ddl(std::vector<std::string> before, std::vector<DdlObject> after = {}) {
  return {std::move(before), std::move(after), {}, {}};
}

constexpr const char* pet =
    "CREATE TABLE \"public\".\"pet\" (\n  \"id\" bigint NOT NULL,\n  \"name\" varchar(40),\n"
    "  CONSTRAINT \"pet_pkey\" PRIMARY KEY (\"id\")\n)";

TEST(MigrationStatement, SaysWhatItMakes) {
  EXPECT_EQ(subject_of(pet), (Subject{"table", {"public", "pet"}, ""}));
  EXPECT_EQ(subject_of("-- a\nCREATE UNIQUE INDEX i ON ONLY shop.t (a)"),
            (Subject{"index", {"shop", "t"}, "i"}));
  EXPECT_EQ(subject_of("ALTER TABLE ONLY t ADD CONSTRAINT \"C\" UNIQUE (a)"),
            (Subject{"constraint", {"public", "t"}, "C"}));
  EXPECT_EQ(subject_of("alter type mood add value if not exists 'sad'"),
            (Subject{"label", {"public", "mood"}, "sad"}));
  EXPECT_EQ(
      subject_of("CREATE OR REPLACE FUNCTION s.f(a integer, b text) RETURNS int LANGUAGE sql AS 'SELECT 1'"),
      (Subject{"function", {"s", "f"}, "a integer, b text"}));
  EXPECT_EQ(subject_of("GRANT SELECT ON t TO anon"), Subject{});
}

TEST(MigrationStatement, IsTakenBack) {
  EXPECT_EQ(reverse_of(pet), "DROP TABLE \"public\".\"pet\"");
  EXPECT_EQ(reverse_of("CREATE INDEX i ON shop.t (a)"), "DROP INDEX \"shop\".\"i\"");
  EXPECT_EQ(reverse_of("GRANT SELECT ON TABLE t TO anon"), "REVOKE SELECT ON TABLE t FROM anon");
  EXPECT_EQ(reverse_of("COMMENT ON TABLE t IS 'x'"), "");
}

TEST(MigrationStatement, KnowsWhatCannotBeInATransaction) {
  EXPECT_TRUE(fits_transaction(pet));
  EXPECT_FALSE(fits_transaction("CREATE INDEX CONCURRENTLY i ON t (a)"));
  EXPECT_FALSE(fits_transaction("-- note\nBEGIN"));
  EXPECT_TRUE(fits_transaction("CREATE TABLE t (\"concurrently\" int)"));
}

TEST(MigrationStatement, ReadsMembers) {
  const auto members = members_of(
      "CREATE TABLE t (a numeric(10,2) DEFAULT f(1, 2), -- b\n b text[], CHECK (a IN (1, 2))) PARTITION BY "
      "RANGE (a)");
  ASSERT_THAT(members, SizeIs(3));
  EXPECT_EQ(members[0].text, "a numeric(10,2) DEFAULT f(1, 2)");
  EXPECT_EQ(members[1].text, "b text[]");
  EXPECT_EQ(members[2].text, "CHECK (a IN (1, 2))");
}

TEST(MigrationDifference, IsAllAtFirstAndNothingThen) {
  const Ddl wanted = ddl({pet}, {{DdlObject::Kind::index,
                                  "pet",
                                  "pet_name",
                                  {"CREATE INDEX \"pet_name\" ON \"public\".\"pet\" (\"name\")"}}});
  const auto first = difference({}, wanted);
  ASSERT_THAT(first.files, SizeIs(1));
  EXPECT_THAT(first.files[0], ElementsAre(pet, HasSubstr("CREATE INDEX"), HasSubstr("NOTIFY pgrst")));
  const auto again = difference(first.files[0], wanted);
  EXPECT_THAT(again.files, IsEmpty());
  EXPECT_THAT(again.findings, IsEmpty());
}

TEST(MigrationDifference, BlanksAndQuotesAreNoDifference) {
  EXPECT_THAT(
      difference(
          {"create table pet(id bigint NOT NULL, name varchar(40), constraint pet_pkey primary key(id))"},
          ddl({pet}))
          .files,
      IsEmpty());
}

TEST(MigrationDifference, AddsAColumnAndForgetsNotNullOfRowsThatAreThere) {
  const auto found =
      difference({"CREATE TABLE pet (id bigint NOT NULL)", "ALTER TABLE pet ADD COLUMN tag text"},
                 ddl({"CREATE TABLE pet (id bigint NOT NULL, tag text, kind text NOT NULL, age int NOT NULL "
                      "DEFAULT 0, CONSTRAINT ck CHECK (age > 0))"}));
  ASSERT_THAT(found.files, SizeIs(1));
  EXPECT_THAT(
      found.files[0],
      ElementsAre("ALTER TABLE \"public\".\"pet\" ADD COLUMN IF NOT EXISTS kind text",
                  "ALTER TABLE \"public\".\"pet\" ADD COLUMN IF NOT EXISTS age int NOT NULL DEFAULT 0",
                  "ALTER TABLE \"public\".\"pet\" ADD CONSTRAINT ck CHECK (age > 0)", HasSubstr("NOTIFY")));
}

TEST(MigrationDifference, ALabelAndAnIndexOnAnOlderTableStandAlone) {
  const auto found =
      difference({"CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TABLE pet (m mood)"},
                 ddl({"CREATE TYPE mood AS ENUM ('sad', 'so so', 'ok', 'it''s fine')",
                      "CREATE TABLE pet (m mood, n int)"},
                     {{DdlObject::Kind::index, "pet", "i", {"CREATE INDEX i ON pet USING btree (n)"}}}));
  ASSERT_THAT(found.files, SizeIs(3));
  EXPECT_THAT(found.files[0],
              ElementsAre("ALTER TYPE \"public\".\"mood\" ADD VALUE IF NOT EXISTS 'so so' AFTER 'sad'",
                          "ALTER TYPE \"public\".\"mood\" ADD VALUE IF NOT EXISTS 'it''s fine' AFTER 'ok'"));
  EXPECT_THAT(found.files[1], ElementsAre(HasSubstr("ADD COLUMN IF NOT EXISTS n int"), HasSubstr("NOTIFY")));
  EXPECT_THAT(found.files[2], ElementsAre("DROP INDEX CONCURRENTLY IF EXISTS \"public\".\"i\"",
                                          "CREATE INDEX CONCURRENTLY i ON pet USING btree (n)"));
}

TEST(MigrationDifference, AWiderTypeIsWrittenWithItsReverse) {
  const std::vector<std::string> made = {"CREATE TABLE pet (id bigint, name varchar(40) NOT NULL)",
                                         "ALTER TABLE pet ADD COLUMN price numeric(6,2)"};
  const auto wanted = ddl({"CREATE TABLE pet (id bigint, name text NOT NULL, price numeric)"});
  const auto found = difference(made, wanted);
  EXPECT_THAT(found.findings, IsEmpty());
  ASSERT_THAT(found.files, SizeIs(1));
  const std::string alter = "ALTER TABLE \"public\".\"pet\" ALTER COLUMN ";
  EXPECT_THAT(found.files[0],
              ElementsAre(alter + "\"name\" TYPE text USING \"name\"::text",
                          alter + "\"price\" TYPE numeric USING \"price\"::numeric", HasSubstr("NOTIFY")));
  EXPECT_THAT(undo(found.files[0], found.reverses),
              ElementsAre(alter + "\"price\" TYPE numeric(6,2) USING \"price\"::numeric(6,2)",
                          alter + "\"name\" TYPE varchar(40) USING \"name\"::varchar(40)"));
  auto all = made;
  all.insert(all.end(), found.files[0].begin(), found.files[0].end());
  EXPECT_THAT(difference(all, wanted).files, IsEmpty());
}

TEST(MigrationDifference, ATypeThatMayRefuseRowsStandsInACommentOnce) {
  std::vector<std::string> made = {"CREATE TABLE pet (id bigint, age text DEFAULT '1')"};
  const auto wanted = ddl({"CREATE TABLE pet (id bigint, age bigint DEFAULT '1')"});
  const auto found = difference(made, wanted);
  ASSERT_THAT(found.findings, SizeIs(1));
  EXPECT_THAT(found.findings[0].message, HasSubstr("its column age was text and is bigint now"));
  ASSERT_THAT(found.files, SizeIs(1));
  EXPECT_THAT(found.files[0][0],
              HasSubstr("--   SELECT count(*) FROM \"public\".\"pet\" WHERE \"age\"::bigint::text"));
  const std::string text = file_text("other", found.files[0], found.reverses);
  EXPECT_THAT(statements_in(text), ElementsAre(HasSubstr("NOTIFY"))) << text;
  made.push_back(statements_in(text)[0]);
  const auto again = difference(made, wanted);
  EXPECT_THAT(again.files, IsEmpty());
  EXPECT_THAT(again.findings, SizeIs(1)) << "it is told until it is done";
  made.push_back("ALTER TABLE pet ALTER age SET DATA TYPE int8 USING age::int8");
  EXPECT_THAT(difference(made, wanted).findings, IsEmpty());
}

TEST(MigrationDifference, WhatElseChangedIsTold) {
  const auto found = difference({"CREATE TABLE pet (id bigint, name text, gone int)"},
                                ddl({"CREATE TABLE pet (id bigint, name text DEFAULT 'x')"}));
  EXPECT_THAT(found.files, IsEmpty());
  ASSERT_THAT(found.findings, SizeIs(1));
  EXPECT_THAT(found.findings[0].message, HasSubstr("column name"));
}

TEST(ColumnType, KnowsWhatWidens) {
  for (const auto& [from, to] :
       std::vector<std::pair<const char*, const char*>>{{"varchar(40)", "text"},
                                                        {"character varying(3)", "varchar(4)"},
                                                        {"varchar(3)", "varchar"},
                                                        {"int", "bigint"},
                                                        {"smallint", "numeric"},
                                                        {"numeric(6,2)", "numeric(9,3)"},
                                                        {"numeric(6,2)", "decimal"},
                                                        {"real", "float8"}}) {
    EXPECT_TRUE(widens(from, to)) << from << " " << to;
    EXPECT_FALSE(widens(to, from)) << to << " " << from;
  }
  for (const auto& [from, to] :
       std::vector<std::pair<const char*, const char*>>{{"text", "jsonb"},
                                                        {"varchar", "varchar(9)"},
                                                        {"numeric(6,2)", "numeric(7,4)"},
                                                        {"int[]", "bigint[]"},
                                                        {"bigint", "real"},
                                                        {"date", "timestamptz"},
                                                        {"integer", "numeric(4,2)"},
                                                        {"boolean", "text"},
                                                        {"mood", "text"},
                                                        {"\"varchar\"", "text"}})
    EXPECT_FALSE(widens(from, to)) << from << " " << to;
  EXPECT_TRUE(same_type("timestamp with time zone", "timestamptz"));
  EXPECT_TRUE(same_type("\"public\".\"tier\"", "public.tier"));
  EXPECT_FALSE(same_type("varchar(3)", "varchar(4)"));
}

TEST(MigrationUndo, IsInOrderAndLeavesOutWhatGoesAlong) {
  EXPECT_THAT(undo({"CREATE TYPE mood AS ENUM ('a')", "CREATE TABLE a (id int)",
                    "CREATE SEQUENCE public.a_id_seq", "CREATE TABLE public.b (id int)",
                    "ALTER TABLE public.a ENABLE ROW LEVEL SECURITY", "CREATE INDEX i ON public.a (id)",
                    "ALTER TABLE public.a ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES public.b (id)",
                    "ALTER TABLE public.old ADD COLUMN n int"}),
              ElementsAre("ALTER TABLE \"public\".\"old\" DROP COLUMN \"n\"",
                          "ALTER TABLE \"public\".\"a\" DROP CONSTRAINT \"f\"", "DROP TABLE \"public\".\"b\"",
                          "DROP TABLE \"public\".\"a\"", "DROP TYPE \"public\".\"mood\"",
                          "DROP SEQUENCE IF EXISTS \"public\".\"a_id_seq\""));
}

MigrationFile file(const std::string& version) {
  return {version, "x", version + "_x.sql"};
}

TEST(MigrationVersions, FollowTheNewestAndEachOther) {
  EXPECT_THAT(next_versions({}, "20261231235959", 2), ElementsAre("20261231235959", "20270101000000"));
  EXPECT_THAT(next_versions({file("20280229235959")}, "20270101000000", 1), ElementsAre("20280301000000"));
  EXPECT_THAT(next_versions({file("1")}, "20270101000000", 1), ElementsAre("20270101000000"));
}

std::string refusal(const std::vector<MigrationFile>& files, const std::vector<Applied>& applied) {
  try {
    pending(compared(files, applied));
  } catch (const Refused& refused) {
    return refused.code();
  }
  return "";
}

TEST(MigrationHistory, RefusesWhatTheSupabaseCommandWouldRefuse) {
  EXPECT_EQ(refusal({file("1"), file("3")}, {{"1", "x"}}), "");
  EXPECT_EQ(refusal({file("1"), file("2"), file("3")}, {{"1", "x"}, {"3", "x"}}), "schema-out-of-order");
  EXPECT_EQ(refusal({file("1")}, {{"1", "x"}, {"2", "x"}}), "schema-history-differs");
  EXPECT_THAT(pending(compared({file("1"), file("2")}, {{"1", "x"}})), SizeIs(1));
}

}  // namespace
}  // namespace tidegate::schema
