#include "apply/mapping/key_form.hpp"

#include <gtest/gtest.h>

namespace tidegate {
namespace {

SourceTable person() {
  SourceTable table;
  table.name = "person";
  for (const char* name : {"id", "code", "nick", "name"}) table.columns.emplace_back().name = name;
  table.columns[1].not_null = true;
  table.primary_key = {"id"};
  table.indexes = {{"by_code", true, true, false, {{"code", "BINARY", false}}, ""},
                   {"by_nick", true, true, false, {{"nick", "BINARY", false}}, ""},
                   {"by_name",
                    true,
                    false,
                    false,
                    {{std::nullopt, "BINARY", false}},
                    "CREATE UNIQUE INDEX by_name ON person (lower(name))"}};
  return table;
}

bool apart(const std::vector<std::string>& keys, const SourceTable& table = person()) {
  MapTarget target;
  for (const auto& key : keys) {
    target.key.push_back("k" + std::to_string(target.key.size()));
    target.columns.push_back({target.key.back(), {key, ""}});
  }
  target.columns.push_back({"other", {"id", ""}});
  return tells_rows_apart(target, table);
}

TEST(KeyForm, AKeyThatHoldsTheTablesOwnTellsRowsApart) {
  for (const char* key :
       {"id", " ID ", "uuid('p', id)", "surrogate('p', 'person', id)", "uuid('p', name, id)",
        "uuid('i', uuid('p', id))", "uuid('p', lower(name), id)", "code", "uuid('p', code)"})
    EXPECT_TRUE(apart({key})) << key;
  EXPECT_TRUE(apart({"uuid('p', id)", "'role'"}));
  EXPECT_TRUE(apart({"name", "id"}));
}

TEST(KeyForm, ANocaseColumnIsHeldWithoutItsCase) {
  SourceTable table = person();
  table.primary_key = {"name"};
  EXPECT_FALSE(apart({"uuid('tag', lower(name))"}, table));
  for (SourceColumn& column : table.columns) column.collation = "NOCASE";
  for (const char* key : {"uuid('tag', lower(name))", "upper(name)", "uuid('tag', name)"})
    EXPECT_TRUE(apart({key}, table)) << key;
  EXPECT_FALSE(apart({"uuid('tag', lower(name || 'x'))"}, table));
  EXPECT_FALSE(apart({"lower(code)"}, table)) << "its index tells a from A";
  table.indexes[0].parts[0].collation = "NOCASE";
  EXPECT_TRUE(apart({"lower(code)"}, table));
}

TEST(KeyForm, AnyOtherMayBeTwoRows) {
  for (const char* key : {"name", "lower(code)", "uuid('p', lower(code))", "uuid('p', id / 2)",
                          "uuid('p', name)", "uuid('p', 'id')", "id % 10", "coalesce(id, 0)",
                          "upper(uuid('p', id))", "nick", "uuid('p', lower(name))", "'x'"})
    EXPECT_FALSE(apart({key})) << key;
}

TEST(KeyForm, AKeyOfSeveralColumnsIsHeldAsAWhole) {
  SourceTable table = person();
  table.primary_key = {"id", "name"};
  EXPECT_FALSE(apart({"uuid('p', id)"}, table));
  EXPECT_TRUE(apart({"uuid('p', id)", "name"}, table));
  EXPECT_TRUE(apart({"uuid('p', id, name)"}, table));
}

TEST(KeyForm, WithoutAKeyItIsTheRowid) {
  SourceTable table = person();
  table.primary_key.clear();
  table.identity = Identity::rowid;
  EXPECT_FALSE(apart({"id"}, table));
  EXPECT_TRUE(apart({"uuid('p', _rid)"}, table));
}

}  // namespace
}  // namespace tidegate
