#include "apply/mapping/keys/key_memory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apply/mapping/keys/key_calls.hpp"
#include "apply/mapping/keys/remembered_keys.hpp"
#include "apply/mapping/owners.hpp"
#include "db/error.hpp"
#include "support/scratch.hpp"

namespace tidegate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const postgres::Command last{"SELECT $1", {"x"}};

struct Memory {
  std::int64_t drawn = 100;
  KeyMemory memory;

  explicit Memory(const std::string& path)
      : memory("p", KeyStore(sqlite::Database(path, sqlite::Database::Mode::create, std::chrono::seconds(1))),
               [this](const std::string&, int count) {
                 std::vector<std::int64_t> numbers;
                 for (int i = 0; i < count; ++i) numbers.push_back(drawn++);
                 return numbers;
               }) {}
  std::string mail(const std::string& row, const std::string& value) {
    memory.begin_row(row);
    auto answer = memory.unique_value("users.email", value, {row});
    memory.end_row(true);
    return answer;
  }
  void deliver() {
    memory.unsent(last);
    memory.sent();
  }
};

class KeyMemoryTest : public ::testing::Test {
 protected:
  testing_support::Scratch scratch_;
  std::string path_ = scratch_.file("keys.db");
};

TEST_F(KeyMemoryTest, AnIntegerIsGivenOnceForAKey) {
  Memory one(path_);
  const auto first = one.memory.surrogate("user", {std::string("teacher"), std::int64_t{1}});
  EXPECT_EQ(one.memory.surrogate("user", {std::string("teacher"), std::int64_t{1}}), first);
  EXPECT_NE(one.memory.surrogate("user", {std::string("parent"), std::int64_t{1}}), first);
  EXPECT_NE(one.memory.surrogate("user", {std::string("teacher"), std::string("1")}), first);
}

TEST_F(KeyMemoryTest, WhatWasFlushedIsKnownToTheNextProcessAndTheRestIsNot) {
  std::int64_t kept = 0;
  {
    Memory one(path_);
    kept = one.memory.surrogate("user", {std::int64_t{1}});
    one.memory.unsent(last);
    one.memory.surrogate("user", {std::int64_t{2}});
  }
  Memory two(path_);
  two.drawn = 5000;
  EXPECT_EQ(two.memory.surrogate("user", {std::int64_t{1}}), kept);
  EXPECT_EQ(two.memory.surrogate("user", {std::int64_t{2}}), 5000);
}

TEST_F(KeyMemoryTest, AClashIsSettledOnceAndTheAnswerKept) {
  Memory one(path_);
  EXPECT_EQ(one.mail("a", "ann@x.org"), "ann@x.org");
  EXPECT_EQ(one.mail("b", "ann@x.org"), "ann+2@x.org");
  EXPECT_EQ(one.mail("c", "ann@x.org"), "ann+3@x.org");
  EXPECT_EQ(one.mail("b", "ann@x.org"), "ann+2@x.org");
  EXPECT_EQ(one.mail("d", "bob"), "bob");
  EXPECT_EQ(one.mail("e", "bob"), "bob+2");
}

TEST_F(KeyMemoryTest, AValueThatManyHaveIsNumberedFromWhereItWas) {
  Memory one(path_);
  for (int i = 0; i < 5; ++i) one.mail("row" + std::to_string(i), "ann@x.org");
  one.memory.row_is_gone("row2");
  EXPECT_EQ(one.mail("late", "ann@x.org"), "ann+3@x.org") << "what was given up is free, as ever";
  EXPECT_EQ(one.mail("later", "ann@x.org"), "ann+6@x.org");
}

TEST_F(KeyMemoryTest, WhoOnlyLooksSeesWhatWasFlushedThenAndMakesNothingUp) {
  using Mode = sqlite::Database::Mode;
  sqlite::Database(path_, Mode::create, std::chrono::seconds(1)).text("PRAGMA journal_mode = WAL");
  Memory one(path_);
  const auto known = one.memory.surrogate("user", {std::int64_t{1}});
  one.mail("a", "ann@x.org");
  one.deliver();
  RememberedKeys keys(sqlite::Database(path_, Mode::read_write, std::chrono::seconds(1)));
  one.memory.surrogate("user", {std::int64_t{2}});
  one.memory.row_is_gone("a");
  one.deliver();
  EXPECT_EQ(keys.surrogate("user", {std::int64_t{1}}), known);
  EXPECT_THROW(keys.surrogate("user", {std::int64_t{2}}), std::out_of_range);
  EXPECT_EQ(keys.unique_value("users.email", "ann@x.org", {std::string("a")}), "ann@x.org");
  EXPECT_EQ(keys.uuid("user", {std::int64_t{1}}, "made"), "made");
  EXPECT_NO_THROW(keys.rethrow_failure()) << "what is not known is no failure";
}

TEST_F(KeyMemoryTest, AValueIsFreeAgainOnceItsRowGivesItUpOrIsGone) {
  Memory one(path_);
  one.mail("a", "ann@x.org");
  one.mail("b", "ann@x.org");
  one.mail("a", "other@x.org");
  EXPECT_EQ(one.mail("c", "ann@x.org"), "ann@x.org");
  one.memory.row_is_gone("b");
  EXPECT_EQ(one.mail("d", "ann@x.org"), "ann+2@x.org");
  one.mail("t [1]", "tim@x.org");
  one.mail("tt [1]", "tom@x.org");
  one.memory.table_is_empty("t");
  EXPECT_EQ(one.mail("e", "tim@x.org"), "tim@x.org");
  EXPECT_EQ(one.mail("e", "tom@x.org"), "tom+2@x.org");
}

TEST_F(KeyMemoryTest, WhatIsNotInTheTargetGoesWithTheNextTransactionUntilItIs) {
  Memory one(path_);
  EXPECT_FALSE(one.memory.unsent(last));
  one.mail("a", "ann@x.org");
  auto command = one.memory.unsent(last);
  ASSERT_TRUE(command);
  EXPECT_THAT(command->sql, HasSubstr("INSERT INTO tidegate.keys"));
  EXPECT_THAT(command->sql, HasSubstr("SELECT $1"));
  ASSERT_EQ(command->parameters.size(), 8u);
  EXPECT_EQ(command->parameters[6], R"({"ann@x.org"})");
  EXPECT_TRUE(one.memory.unsent(last));
  one.memory.sent();
  EXPECT_FALSE(one.memory.unsent(last));
  one.mail("a", "other@x.org");
  command = one.memory.unsent(last);
  EXPECT_THAT(*command->parameters[3], HasSubstr("ann@x.org"));
  one.memory.sent();
  EXPECT_FALSE(one.memory.unsent(last));
}

TEST_F(KeyMemoryTest, AUniqueValueOfAChunkThatIsMappedAheadGoesWithThatChunk) {
  Memory one(path_);
  one.memory.begin_ahead();
  one.mail("a", "ann@x.org");
  one.memory.begin_ahead();
  one.mail("b", "bob@x.org");
  one.memory.row_is_gone("a");
  one.mail("a", "ann@x.org");
  one.mail("c", "cat@x.org");
  one.memory.chunk_is_next();
  EXPECT_FALSE(one.memory.unsent(last)) << "the row is of the later chunk by now";
  one.memory.surrogate("user", {std::int64_t{1}});
  auto command = one.memory.unsent(last);
  EXPECT_EQ(command->parameters[6], R"({"100"})") << "an integer is right at any time";
  one.memory.sent();
  one.memory.chunk_is_next();
  EXPECT_EQ(one.memory.unsent(last)->parameters[6], R"({"ann@x.org","bob@x.org","cat@x.org"})");
  one.memory.sent();
  one.mail("d", "dan@x.org");
  EXPECT_TRUE(one.memory.unsent(last)) << "nothing is mapped ahead any more";
}

TEST_F(KeyMemoryTest, APairOfARowThatWasBornOnTheTargetIsWhatUuidGives) {
  const Row key{std::int64_t{57}}, other{std::int64_t{58}};
  Memory one(path_);
  EXPECT_EQ(one.memory.paired_uuid("user", key, "made"), "made");
  one.memory.take_pairs({{"uuid:user", "[57]", "random", ""}});
  EXPECT_EQ(one.memory.paired_uuid("user", key, "made"), "random");
  EXPECT_EQ(one.memory.paired_uuid("user", other, "made"), "made");
  EXPECT_EQ(one.memory.paired_uuid("child", key, "made"), "made");
  EXPECT_THAT(one.memory.unsent(last)->sql, HasSubstr("tidegate.keys")) << "the target gets it as well";
  one.memory.sent();
  EXPECT_FALSE(one.memory.unsent(last));
  one.memory.take_pairs({{"uuid:user", "[57]", "random", ""}});
  EXPECT_FALSE(one.memory.unsent(last)) << "once is enough";
  RememberedKeys looking(
      sqlite::Database(path_, sqlite::Database::Mode::read_write, std::chrono::seconds(1)));
  EXPECT_EQ(looking.paired_uuid("user", key, "made"), "random");
  EXPECT_EQ(looking.paired_uuid("user", other, "made"), "made");
}

TEST(KeyCalls, OneThatEndsInAColumnSaysWhich) {
  const std::vector<std::string> columns = {"id", "Parent"};
  const auto key = column_key("surrogate('user', 'teacher', parent)", columns);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->scope + " " + key->column, "surrogate:user Parent");
  EXPECT_THAT(key->words, ElementsAre("teacher"));
  EXPECT_TRUE(column_key(" uuid( 'user' ,id ) ", columns));
  for (const char* other : {"uuid('user', id, parent)", "uuid('user', lower(id))", "uuid('user', 'id')",
                            "uuid('user', id) || ''", "id", "uuid('user', other)", "uuid('user', 3)"})
    EXPECT_FALSE(column_key(other, columns)) << other;
}

TEST(KeyCalls, AreReadFromTheExpression) {
  const auto call = key_call("surrogate('user', 'teacher', 'x', id)");
  ASSERT_TRUE(call);
  EXPECT_EQ(call->entity, "user");
  EXPECT_THAT(call->words, ElementsAre("teacher", "x"));
  EXPECT_THAT(key_call("uuid('child', id)")->words, IsEmpty());
  EXPECT_FALSE(key_call("id"));
  EXPECT_FALSE(key_call("lower('user')"));
}

MapDefinition owner(const std::string& from, const std::string& key, std::optional<std::string> rows = {}) {
  MapTarget target;
  target.schema = "public";
  target.table = "users";
  target.where = "t.toml:" + from;
  target.key = {"id"};
  target.columns = {{"id", {key, ""}}};
  if (rows) target.rows = PlacedText{*rows, ""};
  MapDefinition map;
  map.from = from;
  map.to = {target};
  return map;
}

TEST(Owners, OfOneTableMustSayWhoseRowsAreWhose) {
  EXPECT_NO_THROW(check_owners({owner("a", "id")}));
  EXPECT_THROW(check_owners({owner("a", "id"), owner("b", "id")}), Refused);
  EXPECT_THROW(check_owners({owner("a", "id", "kind = 1"), owner("b", "id")}), Refused);
  EXPECT_THROW(check_owners({owner("a", "id", "kind = 1"), owner("b", "id", "kind = 1")}), Refused);
  EXPECT_NO_THROW(check_owners({owner("a", "id", "kind = 1"), owner("b", "id", "kind = 2")}));
}

TEST(Owners, AreToldApartByTheFirstWordsOfTheirKeys) {
  std::vector<MapDefinition> maps = {owner("a", "surrogate('user', 'a', id)"),
                                     owner("b", "surrogate('user', 'b', id)")};
  tell_owners_apart(maps, "p");
  EXPECT_NO_THROW(check_owners(maps));
  EXPECT_THAT(maps[0].to[0].rows->text, HasSubstr(R"(starts_with(k.key, '["a",'))"));
  maps = {owner("a", "surrogate('user', 'a', id)"), owner("b", "surrogate('user', 'a', id)")};
  tell_owners_apart(maps, "p");
  EXPECT_THROW(check_owners(maps), Refused);
}

TEST(Owners, AContributorNeedsOne) {
  auto contributor = owner("a", "id");
  contributor.to[0].contributor = true;
  EXPECT_THROW(check_owners({contributor}), Refused);
  EXPECT_NO_THROW(check_owners({contributor, owner("b", "id")}));
}

}  // namespace
}  // namespace tidegate
