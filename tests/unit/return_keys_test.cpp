// Keys of the target and the legacy database, to and fro, in a real file.
#include "apply/mapping/back/return_keys.hpp"

#include <gmock/gmock.h>

#include "apply/sqlite/legacy_file.hpp"
#include "apply/sqlite/sqlite_side.hpp"
#include "support/live_file.hpp"

namespace tidegate {
namespace {

using namespace testing_support;

// The key memory of a pipeline that has surrogates of two users.
class Remembered : public LookedUpAnswers {
 public:
  std::int64_t surrogate(const std::string&, const Row& key) override {
    return 500 + std::get<std::int64_t>(key.back());
  }
  std::string uuid(const std::string&, const Row&, const std::string& made) override { return made; }
  std::string paired_uuid(const std::string&, const Row&, const std::string& made) override { return made; }
  std::string unique_value(const std::string&, const std::string& value, const Row&) override {
    return value;
  }
  void rethrow_failure() override {}
};

class Rig {
 public:
  explicit Rig(
      const std::string& sql = "CREATE TABLE user (id INTEGER PRIMARY KEY); INSERT INTO user VALUES (3), (7)")
      : app(wal_writer_of(live.path())) {
    app.execute(sql);
    user.name = "user";
    user.columns = {{"id", "INTEGER", true, {}, "BINARY", {}, false}};
    user.primary_key = {"id"};
    user.integer_key = true;
    open();
  }
  void open() {
    keys.reset();
    pairs.reset();
    file = std::make_unique<LegacyFile>(live.path(), "p");
    file->begin({"journal-1", 5, "start"});
    pairs = std::make_unique<SqlitePairs>(file->database());
    keys = std::make_unique<ReturnKeys>(*pairs, std::make_shared<Remembered>());
    keys->own(entity, user, true);
    keys->index(entity, std::int64_t{3}, "uuid of 3");
  }

  LiveFile live;
  sqlite::Database app;
  SourceTable user;
  ColumnKey entity{"uuid:user", {}, "id"};
  std::unique_ptr<LegacyFile> file;
  std::unique_ptr<SqlitePairs> pairs;
  std::unique_ptr<ReturnKeys> keys;
};

Value number(std::int64_t value) {
  return value;
}

TEST(ReturnKeys, FindsWhoWasBornInTheLegacyDatabase) {
  Rig rig;
  EXPECT_EQ(rig.keys->find(rig.entity, "uuid of 3"), number(3));
  EXPECT_EQ(rig.keys->find(rig.entity, "uuid of 9"), std::nullopt);
  EXPECT_EQ(rig.keys->find({"uuid:child", {}, "id"}, "uuid of 3"), std::nullopt);
}

TEST(ReturnKeys, GivesAnIdOnceAndWithTheTransactionOnly) {
  Rig rig;
  rig.keys->begin();
  {
    sqlite::Transaction taken_back(rig.file->database());
    EXPECT_EQ(rig.keys->find_or_give(rig.entity, "new"), number(8));
  }
  EXPECT_EQ(rig.keys->find(rig.entity, "new"), std::nullopt);
  rig.keys->begin();
  sqlite::Transaction transaction(rig.file->database());
  EXPECT_EQ(rig.keys->find_or_give(rig.entity, "another"), number(8));
  EXPECT_EQ(rig.keys->find_or_give(rig.entity, "new"), number(9));
  EXPECT_EQ(rig.keys->find_or_give(rig.entity, "another"), number(8));
  transaction.commit();
  rig.open();
  EXPECT_EQ(rig.keys->find(rig.entity, "new"), number(9)) << "of an earlier process";
  rig.keys->begin();
  EXPECT_EQ(rig.keys->find_or_give(rig.entity, "third"), number(10)) << "9 is taken, though no row has it";
  EXPECT_EQ(pairs_in(rig.app).size(), 3u);
}

TEST(ReturnKeys, TheIdOfARowThatWentMeanwhileIsNotGivenAgain) {
  Rig rig;
  rig.keys->index(rig.entity, std::int64_t{7}, "uuid of 7");
  rig.app.execute("DELETE FROM user WHERE id = 7");
  EXPECT_EQ(rig.keys->find_or_give(rig.entity, "new"), number(8));
  EXPECT_EQ(rig.keys->find_or_give(rig.entity, "another"), number(9));
}

TEST(ReturnKeys, ARowThatTheMapsLeaveOutIsFoundAndToldApart) {
  Rig rig;
  rig.keys->index(rig.entity, std::int64_t{7}, "uuid of 7", true);
  EXPECT_EQ(rig.keys->find(rig.entity, "uuid of 7"), number(7));
  EXPECT_TRUE(rig.keys->is_outside(rig.entity, "uuid of 7"));
  EXPECT_FALSE(rig.keys->is_outside(rig.entity, "uuid of 3"));
}

TEST(ReturnKeys, AnIdThatAutoincrementHasGivenIsNotGivenAgain) {
  Rig rig(
      "CREATE TABLE user (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO user VALUES (20); DELETE FROM "
      "user");
  rig.user.autoincrement = true;
  ReturnKeys keys(*rig.pairs, std::make_shared<Remembered>());
  keys.own(rig.entity, rig.user, true);
  EXPECT_EQ(keys.find_or_give(rig.entity, "new"), number(21));
}

TEST(ReturnKeys, WordsTellTablesApart) {
  Rig rig;
  const ColumnKey teacher{"surrogate:person", {"teacher"}, "id"},
      parent{"surrogate:person", {"parent"}, "id"};
  rig.keys->index(teacher, std::int64_t{3}, "503");
  EXPECT_EQ(rig.keys->find(teacher, "503"), number(3));
  EXPECT_EQ(rig.keys->find(parent, "503"), std::nullopt);
  EXPECT_TRUE(rig.keys->is_anothers(parent, "503"));
  EXPECT_FALSE(rig.keys->is_anothers(teacher, "503"));
  EXPECT_FALSE(rig.keys->is_anothers(parent, "504"));
  EXPECT_EQ(rig.keys->find_or_give(parent, "503"), std::nullopt) << "a key is one table's";
  rig.keys->own(parent, rig.user, true);
  EXPECT_EQ(rig.keys->find_or_give(parent, "504"), number(8));
  EXPECT_TRUE(rig.keys->is_anothers(teacher, "504")) << "a pair tells as well";
}

TEST(ReturnKeys, TheMappingIsAnsweredByThePairFirst) {
  Rig rig;
  rig.keys->find_or_give(rig.entity, "random");
  EXPECT_EQ(rig.keys->paired_uuid("user", {number(8)}, "made"), "random");
  EXPECT_EQ(rig.keys->paired_uuid("user", {number(3)}, "made"), "made");
  EXPECT_EQ(rig.keys->uuid("user", {number(8)}, "made"), "random");
  EXPECT_EQ(rig.keys->surrogate("person", {number(3)}), 503);
  rig.keys->listen();
  rig.keys->paired_uuid("user", {number(4)}, "four");
  rig.keys->paired_uuid("identity", {std::string("four")}, "five");
  const auto name = rig.keys->asked_for("five");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->scope + name->key, "uuid:identity[\"four\"]");
}

TEST(ReturnKeys, ATextKeyIsTheTargetsOwn) {
  Rig rig("CREATE TABLE user (id TEXT PRIMARY KEY)");
  const SourceTable& table = rig.user;
  ReturnKeys keys(*rig.pairs, std::make_shared<Remembered>());
  keys.own(rig.entity, table, false);
  EXPECT_EQ(keys.find_or_give(rig.entity, "uuid"), Value(std::string("uuid")));
}

TEST(ReturnKeys, ATextKeyThatTheLegacyTableHasIsNotGivenToAnother) {
  Rig rig("CREATE TABLE user (id TEXT PRIMARY KEY); INSERT INTO user VALUES ('57')");
  const SourceTable& table = rig.user;
  ReturnKeys keys(*rig.pairs, std::make_shared<Remembered>());
  keys.own(rig.entity, table, false);
  keys.index(rig.entity, std::string("58"), "a uuid");
  EXPECT_EQ(keys.find_or_give(rig.entity, "57"), Value(std::string("57+2"))) << "a row has it";
  EXPECT_EQ(keys.find_or_give(rig.entity, "58"), Value(std::string("58+2"))) << "a row had it";
  EXPECT_EQ(keys.find_or_give(rig.entity, "57"), Value(std::string("57+2"))) << "the pair is kept";
}

}  // namespace
}  // namespace tidegate
