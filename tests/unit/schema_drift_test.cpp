#include "replicator/pipeline/schema_drift.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replicator/pipeline/known_tables.hpp"

namespace tidegate {
namespace {

using capture::PostgresTable;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = Standing::Kind;

PostgresTable orders() {
  PostgresTable table;
  table.oid = 100;
  table.schema = "public";
  table.name = "orders";
  table.source = "public.orders";
  table.columns.resize(2);
  table.columns[0].name = "id";
  table.columns[0].type = "integer";
  table.columns[0].number = 1;
  table.columns[1].name = "note";
  table.columns[1].type = "text";
  table.columns[1].number = 2;
  table.primary_key = table.identity = {"id"};
  table.files = {{100, 100, "public", "orders", "columns 1", "", false}};
  return table;
}

PostgresTable partitioned() {
  PostgresTable table = orders();
  table.partitioned = true;
  table.files = {{101, 101, "public", "p1", "columns 1", "attached 1", false},
                 {102, 102, "public", "p2", "columns 1", "attached 1", false}};
  return table;
}

capture::PostgresColumn added() {
  capture::PostgresColumn column;
  column.name = "more";
  column.type = "text";
  column.number = 3;
  return column;
}

void expect(const PostgresTable& known, const PostgresTable& now, Kind kind, const std::string& why = "") {
  Standing found = standing(known, &now);
  EXPECT_EQ(found.kind, kind) << found.why;
  if (why.empty())
    EXPECT_THAT(found.why, IsEmpty());
  else
    EXPECT_THAT(found.why, HasSubstr(why));
}

TEST(Standing, NothingHappened) {
  expect(orders(), orders(), Kind::same);
  expect(partitioned(), partitioned(), Kind::same);
}

TEST(Standing, ANewFileAloneIsTruncateOrVacuumFull) {
  PostgresTable now = orders();
  now.files[0].file_node = 200;
  expect(orders(), now, Kind::same);
  now.files[0].columns_version = "columns 2";
  expect(orders(), now, Kind::doubt, "written anew");
}

TEST(Standing, ColumnsThatWereTouchedWithoutANewFileAreNoDoubt) {
  PostgresTable now = orders();
  now.files[0].columns_version = "columns 2";
  now.columns[1].not_null = true;
  now.columns[1].default_sql = "'x'";
  expect(orders(), now, Kind::same);
}

TEST(Standing, ANewNullableColumnWaitsForTheStream) {
  PostgresTable now = orders();
  now.columns.push_back(added());
  now.files[0].columns_version = "columns 2";
  expect(orders(), now, Kind::wait);
  now.files[0].file_node = 200;
  expect(orders(), now, Kind::doubt, "written anew");
}

TEST(Standing, NewColumnsWithValuesInOlderRowsAreADoubt) {
  PostgresTable now = orders();
  now.columns.push_back(added());
  now.columns[2].has_missing = true;
  expect(orders(), now, Kind::doubt, "more was added with a default");
  now.columns[2].has_missing = false;
  now.columns[2].generated = true;
  expect(orders(), now, Kind::doubt, "generated column more");
}

TEST(Standing, MissingValuesThatWereKnownAreNoDoubt) {
  PostgresTable known = orders();
  known.columns[1].has_missing = true;
  expect(known, known, Kind::same);
}

TEST(Standing, ColumnsThatChangedOrWentAreADoubt) {
  PostgresTable now = orders();
  now.columns[1].type = "character varying(10)";
  expect(orders(), now, Kind::doubt, "note has another definition");
  now.columns.pop_back();
  expect(orders(), now, Kind::doubt, "note was dropped");
}

TEST(Standing, ATableThatIsGoneOrAnotherIsADoubt) {
  EXPECT_EQ(standing(orders(), nullptr).kind, Kind::doubt);
  PostgresTable now = orders();
  now.oid = 300;
  expect(orders(), now, Kind::doubt, "another table");
}

TEST(Standing, Identities) {
  PostgresTable now = orders();
  now.identity.clear();
  now.replica_identity = capture::ReplicaIdentity::nothing;
  expect(orders(), now, Kind::doubt, "replica identity");
  now = partitioned();
  now.other_identity = {"public.p2"};
  expect(partitioned(), now, Kind::doubt, "partition public.p2 has another");
  now = partitioned();
  now.foreign_partitions = {"public.p3"};
  expect(partitioned(), now, Kind::doubt, "foreign table");
}

// The stream describes the root, so that nothing in it says what a partition logs of its old rows.
TEST(Standing, AnIndexThatMayHaveBeenTheIdentityOfAPartition) {
  PostgresTable known = partitioned(), now = partitioned();
  known.files[1].indexes = {{501, "7"}, {502, "8"}};
  now.files[1].indexes = {{502, "8"}, {503, "9"}};
  expect(known, now, Kind::same);
  now.files[1].indexes[501] = "12";
  expect(known, now, Kind::doubt, "p2 may have had another replica identity");
  known = now = orders();
  known.files[0].indexes = {{501, "7"}};
  now.files[0].indexes = {{501, "12"}};
  expect(known, now, Kind::same);
}

TEST(Standing, Partitions) {
  PostgresTable now = partitioned();
  now.files.pop_back();
  expect(partitioned(), now, Kind::doubt, "p2 was detached");
  now = partitioned();
  now.files[1].attached = "attached 2";
  expect(partitioned(), now, Kind::doubt, "p2 was detached");
  now = partitioned();
  now.files.push_back({103, 103, "public", "p3", "columns 3", "attached 3", true});
  expect(partitioned(), now, Kind::same);
  now.files.back().never_used = false;
  expect(partitioned(), now, Kind::doubt, "p3 was attached");
}

RelationShape in_stream(std::vector<std::string> names) {
  RelationShape shape{100, "public.orders", 'd', {}};
  for (auto& name : names) shape.columns.push_back({.key = name == "id", .name = std::move(name)});
  return shape;
}

TEST(SameIdentity, IsOfTheKindAndTheColumns) {
  PostgresTable known = orders();
  EXPECT_TRUE(same_identity(in_stream({"id", "note"}), known));
  RelationShape shape = in_stream({"id", "note"});
  shape.columns[1].key = true;
  EXPECT_FALSE(same_identity(shape, known));
  shape.identity = 'f';
  EXPECT_FALSE(same_identity(shape, known));
  known.replica_identity = capture::ReplicaIdentity::full;
  known.identity.clear();
  EXPECT_TRUE(same_identity(shape, known));
  known.replica_identity = capture::ReplicaIdentity::index;
  known.identity = {"note"};
  EXPECT_FALSE(same_identity(in_stream({"id", "note"}), known));
}

TEST(ShapeWhenKnown, IsTheStreamsWithoutWhatCameLater) {
  PostgresTable known = orders();
  EXPECT_EQ(shape_when_known(known, in_stream({"id", "note"})), in_stream({"id", "note"}));
  EXPECT_EQ(shape_when_known(known, in_stream({"id", "note", "more"})), in_stream({"id", "note"}));
  EXPECT_EQ(shape_when_known(known, in_stream({"id", "renamed"})), in_stream({"id", "note"}));
  RelationShape otherwise = in_stream({"id", "note"});
  otherwise.identity = 'i';
  std::swap(otherwise.columns[0].key, otherwise.columns[1].key);
  EXPECT_EQ(shape_when_known(known, otherwise), in_stream({"id", "note"}));
  known.columns.push_back(added());
  known.columns.back().generated = true;
  EXPECT_EQ(shape_when_known(known, in_stream({"id", "note"})), in_stream({"id", "note"}));
}

TEST(KnownTables, WhatIsKeptIsWhatIsCompared) {
  PostgresTable known = partitioned();
  known.columns.push_back(added());
  known.columns[2].has_missing = true;
  known.columns[2].generated = true;
  known.columns[2].generated_sql = "upper(note)";
  auto back = known_from_json(known_to_json({orders(), known}));
  ASSERT_EQ(back.size(), 2u);
  expect(back[0], orders(), Kind::same);
  expect(back[1], known, Kind::same);
  EXPECT_EQ(known_to_json(back), known_to_json({orders(), known}));
  EXPECT_THROW(known_from_json("[{}]"), std::invalid_argument);
}

}  // namespace
}  // namespace tidegate
