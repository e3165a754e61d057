#include "replicator/pipeline/mapped_standing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate {
namespace {

using capture::PostgresColumn;
using capture::PostgresTable;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = Standing::Kind;

PostgresColumn column(const std::string& name, int number) {
  PostgresColumn made;
  made.name = name;
  made.type = "text";
  made.number = number;
  made.version = "700";
  return made;
}

// Its maps read id, name and gone.
PostgresTable people() {
  PostgresTable table;
  table.oid = 100;
  table.source = "public.people";
  table.columns = {column("id", 1), column("name", 2), column("note", 3), column("gone", 4)};
  table.primary_key = table.identity = {"id"};
  table.files = {{100, 100, "public", "people", "columns 1", "", false}};
  return table;
}

std::vector<MapDefinition> maps() {
  MapDefinition map;
  map.from = "public.people";
  map.condition = PlacedText{"gone is null", "t.toml:2:9"};
  MapTarget target;
  target.columns = {{"id", {"uuid('p', id)", "t.toml:5:1"}}, {"name", {"upper(\"name\")", "t.toml:6:1"}}};
  map.to = {target};
  return {map};
}

void expect(const PostgresTable& now, Kind kind, const std::string& why = "") {
  Standing found = standing(maps(), people(), &now);
  EXPECT_EQ(found.kind, kind) << found.why;
  if (why.empty())
    EXPECT_THAT(found.why, IsEmpty());
  else
    EXPECT_THAT(found.why, HasSubstr(why));
}

PostgresTable written_anew(PostgresTable table, std::size_t column) {
  table.files[0].file_node = 200;
  table.files[0].columns_version = "columns 2";
  table.columns[column].version = "800";
  return table;
}

TEST(MappedStanding, WhatNoMapReadsDoesNotCount) {
  expect(people(), Kind::same);
  PostgresTable now = people();
  now.columns.push_back(column("more", 5));
  now.columns.back().has_missing = now.columns.back().not_null = true;
  expect(now, Kind::same);
  expect(written_anew(now, 4), Kind::same);
  expect(written_anew(people(), 2), Kind::same);
  now.columns.erase(now.columns.begin() + 2);
  expect(now, Kind::same);
}

TEST(MappedStanding, WhatAMapReadsIsADoubtWithItsPlace) {
  PostgresTable now = people();
  now.columns[1].type = "integer";
  expect(now, Kind::doubt, "name has another definition (t.toml:6:1 reads column name)");
  expect(written_anew(people(), 1), Kind::doubt,
         "written anew (another type, or a new column with a default) (t.toml:6:1");
  now = people();
  now.columns.pop_back();
  expect(now, Kind::doubt, "gone was dropped or renamed (t.toml:2:9 reads column gone)");
  now.columns.push_back(column("gone", 5));
  expect(now, Kind::doubt, "t.toml:2:9 reads column gone");
}

TEST(MappedStanding, RowsThatCameOrWentAreADoubt) {
  PostgresTable now = people();
  now.files.push_back({101, 101, "public", "p1", "", "", false});
  expect(now, Kind::doubt, "public.p1 was attached");
  now = people();
  now.oid = 7;
  expect(now, Kind::doubt, "another table");
  now = people();
  now.identity = {"name"};
  expect(now, Kind::doubt, "key changed");
  EXPECT_EQ(standing(maps(), people(), nullptr).kind, Kind::doubt);
}

TEST(MappedStanding, UnderIdentityFullAllColumnsNameTheRow) {
  PostgresTable known = people();
  known.replica_identity = capture::ReplicaIdentity::full;
  known.identity.clear();
  PostgresTable now = known;
  now.columns[2].type = "integer";
  EXPECT_EQ(standing(maps(), known, &now).kind, Kind::doubt);
}

TEST(MappedStanding, OtherTablesAreJudgedByAllTheirColumns) {
  PostgresTable now = people();
  now.columns[2].type = "integer";
  EXPECT_EQ(standing({}, people(), &now).kind, Kind::doubt);
}

TEST(MappedStanding, TheStreamMustStillDescribeWhatIsRead) {
  RelationChanged change;
  change.before.table = change.now.table = "public.people";
  change.before.columns = {{true, "id", 25, -1}, {false, "name", 25, -1}, {false, "note", 25, -1}};
  change.now.columns = {{true, "id", 25, -1}, {false, "name", 25, -1}, {false, "more", 23, -1}};
  EXPECT_TRUE(maps_read_the_same(maps(), change));
  change.now.columns[1].type = 23;
  EXPECT_FALSE(maps_read_the_same(maps(), change));
  change.now.columns[1] = {false, "called", 25, -1};
  EXPECT_FALSE(maps_read_the_same(maps(), change));
  change.now = change.before;
  change.now.identity = 'f';
  EXPECT_FALSE(maps_read_the_same(maps(), change));
}

}  // namespace
}  // namespace tidegate
