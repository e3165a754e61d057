// The target's changes in a real legacy file: every row as the target has it, whatever stands in its way
// meanwhile.
#include "apply/sqlite/sqlite_sink.hpp"

#include <gmock/gmock.h>

#include "db/error.hpp"
#include "support/live_file.hpp"
#include "support/plans.hpp"

namespace tidegate {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* user_sql =
    "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, at DATETIME, age "
    "INTEGER"
    " CHECK (age < 150)); INSERT INTO user VALUES (1, 'ann', '2026-01-01 00:00:00', 10), (2, 'bob', NULL, "
    "20),"
    " (3, 'cid', '2026-01-01 00:00:00', NULL)";

// The legacy file, and the sink on it as one process of tidegate has it.
class Rig {
 public:
  explicit Rig(const std::string& sql = user_sql) : app(wal_writer_of(live.path())) {
    app.execute(sql);
    TablePlan plan = testing_support::plan(
        "user", {column("id", TargetType::bigint), column("name", TargetType::text, true),
                 column("at", TargetType::timestamptz), column("age", TargetType::bigint)});
    SourceTable source;
    source.name = "user";
    source.columns = {{"id", "INTEGER", true, {}, "BINARY", {}, false},
                      {"name", "TEXT", true, {}, "NOCASE", {}, false},
                      {"at", "DATETIME", false, {}, "BINARY", {}, false},
                      {"age", "INTEGER", false, {}, "BINARY", {}, false}};
    source.primary_key = {"id"};
    source.integer_key = true;
    relation = {1, "public.user", {"id", "name", "at", "age"}, {0}};
    auto table = plan_back(plan, source).table;
    learn_forms(app, table);
    tables.emplace("public.user", std::move(table));
    open();
  }

  void open() {
    sink.reset();
    file = std::make_unique<LegacyFile>(live.path(), "p");
    file->begin({"journal-1", 5, "start"});
    sink = std::make_unique<SqliteSink>(*file, tables);
  }

  static Row row(const std::string& id, const std::string& name, const std::string& age = "") {
    return {text(id), text(name), Null{}, age.empty() ? Value(Null{}) : text(age)};
  }
  void insert(Row row) { sink->add(relation, inserted(std::move(row))); }
  void update(Row row, const std::string& old_id = "") {
    Change change{Operation::update, 1, std::move(row), {}, {}};
    if (!old_id.empty()) change.before = {text(old_id), Null{}, Null{}, Null{}};
    sink->add(relation, std::move(change));
  }
  void remove(const std::string& id) { sink->add(relation, removed({text(id), Null{}, Null{}, Null{}})); }
  void truncate() { sink->add(relation, Change{Operation::truncate, 1, {}, {}, {}}); }
  void write() {
    ++sequence;
    sink->write({"journal-1", sequence, "digest " + std::to_string(sequence)});
  }

  std::vector<std::string> users() {
    std::vector<std::string> found;
    auto rows = app.prepare("SELECT id || ' ' || name || coalesce(' ' || age, '') FROM user ORDER BY id");
    while (rows.step()) found.push_back(rows.text(0));
    return found;
  }
  std::vector<std::string> rejects() {
    std::vector<std::string> found;
    for (const auto& each : list_rejects(app))
      found.push_back(each.table + each.key + " " + each.column + " " + each.reason);
    return found;
  }

  LiveFile live;
  sqlite::Database app;
  Relation relation;
  ReverseTables tables;
  std::unique_ptr<LegacyFile> file;
  std::unique_ptr<SqliteSink> sink;
  std::uint64_t sequence = 5;
};

TEST(SqliteSink, InsertUpdateDeleteAndThePosition) {
  Rig rig;
  rig.insert(Rig::row("4", "dan", "40"));
  rig.update(Rig::row("1", "anna", "11"));
  rig.remove("2");
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 anna 11", "3 cid", "4 dan 40"));
  EXPECT_EQ(rig.app.text("SELECT sequence || ' ' || digest FROM _tidegate_position"), "6 digest 6");
  rig.open();
  EXPECT_EQ(rig.sink->position().sequence, 6u) << "begun again, it is where the file says";
}

TEST(SqliteSink, ValuesThatNobodyChangedKeepTheirSpelling) {
  Rig rig;
  rig.app.execute("UPDATE user SET at = '2026-01-01T00:00+00:00' WHERE id = 1");
  rig.update({text("1"), text("new"), text("2026-01-01 00:00:00+00"), text("10")});
  rig.update({text("2"), text("bob"), text("2026-02-01 10:00:00+00"), text("20")});
  rig.write();
  EXPECT_EQ(rig.app.text("SELECT at FROM user WHERE id = 1"), "2026-01-01T00:00+00:00");
  EXPECT_EQ(rig.app.text("SELECT at FROM user WHERE id = 2"), "2026-02-01 10:00:00")
      << "as the newest rows have it";
}

TEST(SqliteSink, ExchangedUniqueValuesAndCircles) {
  Rig rig;
  rig.update(Rig::row("1", "bob"));
  rig.update(Rig::row("2", "cid"));
  rig.update(Rig::row("3", "ann"));
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 bob", "2 cid", "3 ann"));
  EXPECT_THAT(rig.rejects(), IsEmpty());
}

TEST(SqliteSink, KeysThatMoveInChainsAndCircles) {
  Rig rig;
  rig.update(Rig::row("9", "ann"), "1");
  rig.update(Rig::row("1", "bob"), "2");
  rig.update(Rig::row("2", "ann2"), "9");
  rig.insert(Rig::row("9", "nine"));
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 bob", "2 ann2", "3 cid", "9 nine"));
  rig.update(Rig::row("4", "bob"), "1");
  rig.insert(Rig::row("1", "one"));
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 one", "2 ann2", "3 cid", "4 bob", "9 nine"))
      << "a new row takes the key that another has left";
  EXPECT_THAT(rig.rejects(), IsEmpty());
}

TEST(SqliteSink, ARowThatIsDeletedAndComesAgainIsTheSame) {
  Rig rig;
  rig.app.execute("UPDATE user SET at = '2026-01-01T00:00+00:00' WHERE id = 1");
  rig.remove("1");
  rig.insert({text("1"), text("bob"), text("2026-01-01 00:00:00+00"), Null{}});
  rig.remove("2");
  rig.update(Rig::row("2", "moved"), "3");
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 bob", "2 moved"));
  EXPECT_EQ(rig.app.text("SELECT at FROM user WHERE id = 1"), "2026-01-01T00:00+00:00");
}

TEST(SqliteSink, AValueThatWasNotSentStaysWhereverTheRowMoves) {
  Rig rig;
  Change change{Operation::update, 1, Rig::row("7", "", "12"), {}, {}};
  change.row[1] = Null{};
  change.absent = {1};
  change.before = {text("1"), Null{}, Null{}, Null{}};
  rig.sink->add(rig.relation, std::move(change));
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("2 bob 20", "3 cid", "7 ann 12"));
}

TEST(SqliteSink, TruncateEmptiesAndWhatFollowsIsNew) {
  Rig rig;
  rig.update(Rig::row("1", "lost"));
  rig.truncate();
  rig.insert(Rig::row("1", "first"));
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 first"));
}

TEST(SqliteSink, WhatDoesNotFitIsNamedAndReleasedOnceItDoes) {
  Rig rig;
  rig.insert({text("4"), text("dan"), text("infinity"), Null{}});
  rig.update(Rig::row("1", "ann", "200"));
  rig.insert(Rig::row("5", "eve"));
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 ann 10", "2 bob 20", "3 cid", "5 eve"));
  EXPECT_THAT(rig.rejects(), ElementsAre("user[\"1\"]  check", "user[\"4\"] at out_of_range"));
  rig.open();
  EXPECT_EQ(rig.file->rejects(), 2u);
  rig.update(Rig::row("4", "dan"));
  rig.remove("1");
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("2 bob 20", "3 cid", "4 dan", "5 eve"));
  EXPECT_THAT(rig.rejects(), IsEmpty());
}

TEST(SqliteSink, AClashKeepsNobodyElseOut) {
  Rig rig;
  rig.app.execute("INSERT INTO user VALUES (50, 'taken', NULL, NULL)");  // of nobody's on the target
  rig.update(Rig::row("1", "bob"));
  rig.update(Rig::row("2", "ann"));
  rig.update(Rig::row("3", "TAKEN"));
  rig.insert(Rig::row("4", "dan"));
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 bob", "2 ann", "3 cid", "4 dan", "50 taken"));
  EXPECT_THAT(rig.rejects(), ElementsAre("user[\"3\"]  not_unique"));
}

TEST(SqliteSink, TheFenceAndTheApplicationsTriggersArePassed) {
  Rig rig;
  rig.app.execute(
      "CREATE TABLE seen(n); CREATE TRIGGER counts AFTER INSERT ON user BEGIN INSERT INTO seen VALUES (1); "
      "END;"
      "CREATE TRIGGER fence BEFORE UPDATE ON user BEGIN SELECT RAISE(ABORT, 'fenced'); END;"
      "CREATE TABLE child(id INTEGER PRIMARY KEY, u REFERENCES user ON DELETE CASCADE);"
      "INSERT INTO child VALUES (1, 2)");
  rig.insert(Rig::row("4", "dan"));
  rig.update(Rig::row("1", "anna"));
  rig.remove("2");
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 anna", "3 cid", "4 dan"));
  EXPECT_EQ(rig.app.integer("SELECT count(*) FROM seen"), 0);
  EXPECT_EQ(rig.app.integer("SELECT count(*) FROM child"), 1) << "its delete comes as a row of its own";
  EXPECT_THROW(rig.app.execute("UPDATE user SET age = 1"), Error) << "on our connection alone";
}

TEST(SqliteSink, ALongTransactionIsAllOrNothing) {
  Rig rig;
  rig.insert(Rig::row("4", "dan"));
  rig.sink->spill(6);
  rig.insert(Rig::row("5", "eve"));
  rig.sink->spill(7);
  EXPECT_EQ(rig.users().size(), 3u);
  rig.open();
  EXPECT_EQ(rig.sink->position().sequence, 5u);
  EXPECT_EQ(rig.users().size(), 3u);
  rig.insert(Rig::row("4", "dan"));
  rig.sink->spill(6);
  rig.update(Rig::row("4", "dana"));
  rig.write();
  EXPECT_THAT(rig.users(), ElementsAre("1 ann 10", "2 bob 20", "3 cid", "4 dana"));
}

TEST(SqliteSink, AnotherWriterIsFoundOut) {
  Rig rig;
  rig.app.execute("UPDATE _tidegate_position SET sequence = 6");
  rig.insert(Rig::row("4", "dan"));
  EXPECT_THROW(rig.write(), Error);
  EXPECT_EQ(rig.users().size(), 3u);
  rig.sink.reset();
  EXPECT_THROW(LegacyFile(rig.live.path(), "p").begin({"journal-2", 0, ""}), Refused);
  EXPECT_THROW(LegacyFile(rig.live.path(), "other").begin({"journal-1", 0, ""}), Refused);
}

TEST(SqliteSink, NothingIsInTheFileBeforeItBegins) {
  LiveFile live;
  auto app = wal_writer_of(live.path());
  app.execute(user_sql);
  const auto before = app.integer("PRAGMA schema_version");
  { LegacyFile file(live.path(), "p"); }
  EXPECT_EQ(app.integer("PRAGMA schema_version"), before);
  EXPECT_THAT(list_rejects(app), IsEmpty());
}

TEST(SqliteSink, AnAlteredTargetIsRefused) {
  Rig rig;
  rig.relation.columns[1] = "renamed";
  EXPECT_THROW(rig.insert(Rig::row("4", "dan")), Refused);
  rig.relation = {2, "public.user", {"id", "name", "at", "age", "more"}, {1}};
  rig.open();
  EXPECT_NO_THROW(rig.sink->add(rig.relation, inserted({text("4"), text("d"), Null{}, Null{}, text("x")})));
}

}  // namespace
}  // namespace tidegate
