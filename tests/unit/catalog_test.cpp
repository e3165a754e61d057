#include "capture/sqlite/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/error.hpp"

namespace tidegate::capture {
namespace {

using sqlite::Database;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class CatalogTest : public ::testing::Test {
 protected:
  std::vector<SourceTable> tables(const std::vector<std::string>& include = {},
                                  const std::vector<std::string>& exclude = {}) {
    sqlite::Transaction snapshot(database_);
    return read_catalog(database_, include, exclude, &notes_);
  }
  std::vector<std::string> names(const std::vector<std::string>& include,
                                 const std::vector<std::string>& exclude) {
    std::vector<std::string> out;
    for (const SourceTable& table : tables(include, exclude)) out.push_back(table.name);
    return out;
  }
  SourceTable table(const std::string& name) {
    auto found = tables({name});
    EXPECT_THAT(found, SizeIs(1)) << name;
    return found.at(0);
  }
  SourceTable made(const std::string& sql) {
    database_.execute("DROP TABLE IF EXISTS t; " + sql);
    return table("t");
  }

  Database database_ = Database::in_memory();
  CatalogNotes notes_;
};

TEST_F(CatalogTest, ReadsColumns) {
  SourceTable t = made(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a VARCHAR(80) NOT NULL COLLATE NOCASE DEFAULT 'x''y',"
      " b DEFAULT (datetime('now') /* why */), c GENERATED ALWAYS AS (a || ')') VIRTUAL, d INT AS (id*2) "
      "STORED,"
      " e TEXT COLLATE RTRIM CHECK (e <> ''), CONSTRAINT k CHECK (id > 0))");
  ASSERT_THAT(t.columns, SizeIs(6));
  EXPECT_EQ(t.columns[0], (SourceColumn{"id", "INTEGER", false, {}, "BINARY", {}, false}));
  EXPECT_EQ(t.columns[1], (SourceColumn{"a", "VARCHAR(80)", true, "'x''y'", "NOCASE", {}, false}));
  EXPECT_EQ(t.columns[2], (SourceColumn{"b", "", false, "datetime('now')", "BINARY", {}, false}));
  EXPECT_EQ(t.columns[3], (SourceColumn{"c", "", false, {}, "BINARY", "a || ')'", false}));
  EXPECT_EQ(t.columns[4], (SourceColumn{"d", "INT", false, {}, "BINARY", "id*2", true}));
  EXPECT_EQ(t.columns[5].collation, "RTRIM");
  EXPECT_THAT(t.checks, ElementsAre(SourceCheck{"", "e <> ''"}, SourceCheck{"k", "id > 0"}));
  EXPECT_THAT(t.create_sql, HasSubstr("/* why */"));
  EXPECT_THAT(notes_.not_carried, IsEmpty());
}

struct KeyCase {
  std::string sql;
  std::vector<std::string> key;
  bool integer_key;
  Identity identity;
};

TEST_F(CatalogTest, DecidesHowRowsAreToldApart) {
  const std::vector<KeyCase> cases = {
      {"CREATE TABLE t(a)", {}, false, Identity::rowid},
      {"CREATE TABLE t(id INTEGER PRIMARY KEY)", {"id"}, true, Identity::key},
      {"CREATE TABLE t(id 'integer' PRIMARY KEY ASC)", {"id"}, true, Identity::key},
      {"CREATE TABLE t(id INTEGER, PRIMARY KEY (id))", {"id"}, true, Identity::key},
      {"CREATE TABLE t(id INTEGER, PRIMARY KEY (id DESC))", {"id"}, true, Identity::key},
      {"CREATE TABLE t(id INTEGER PRIMARY KEY DESC)", {"id"}, false, Identity::rowid},
      {"CREATE TABLE t(id INTEGER NOT NULL PRIMARY KEY DESC)", {"id"}, false, Identity::key},
      {"CREATE TABLE t(id INT PRIMARY KEY)", {"id"}, false, Identity::rowid},
      {"CREATE TABLE t(id TEXT NOT NULL PRIMARY KEY)", {"id"}, false, Identity::key},
      {"CREATE TABLE t(a, b NOT NULL, PRIMARY KEY (b, a))", {"b", "a"}, false, Identity::rowid},
      {"CREATE TABLE t(a NOT NULL, b NOT NULL, PRIMARY KEY (b, a))", {"b", "a"}, false, Identity::key},
      {"CREATE TABLE t(a, b, PRIMARY KEY (b, a)) WITHOUT ROWID", {"b", "a"}, false, Identity::key},
      {"CREATE TABLE t(id INTEGER PRIMARY KEY) WITHOUT ROWID", {"id"}, false, Identity::key},
      {"CREATE TABLE t(id TEXT PRIMARY KEY) STRICT", {"id"}, false, Identity::key},
      {"CREATE TABLE t(id INTEGER PRIMARY KEY) STRICT", {"id"}, true, Identity::key},
  };
  for (const KeyCase& expected : cases) {
    SourceTable t = made(expected.sql);
    EXPECT_EQ(t.primary_key, expected.key) << expected.sql;
    EXPECT_EQ(t.integer_key, expected.integer_key) << expected.sql;
    EXPECT_EQ(t.identity, expected.identity) << expected.sql;
    EXPECT_EQ(t.without_rowid, expected.sql.find("WITHOUT") != std::string::npos) << expected.sql;
  }
}

// A type that is not exactly INTEGER, or DESC in the column's own clause, makes a key that is not the rowid.
TEST_F(CatalogTest, IntegerKeyIsWhatSqliteTreatsAsTheRowid) {
  for (std::string column :
       {"INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY DESC", "INT PRIMARY KEY", "BIGINT PRIMARY KEY",
        "\"INTEGER\" PRIMARY KEY", "INTEGER(8) PRIMARY KEY", "INTEGER PRIMARY KEY ON CONFLICT IGNORE",
        "INTEGER UNIQUE, PRIMARY KEY(id)", "INTEGER, PRIMARY KEY(id DESC)"}) {
    SourceTable t = made("CREATE TABLE t(id " + column + ")");
    database_.execute("INSERT INTO t(id) VALUES (42)");
    EXPECT_EQ(database_.integer("SELECT rowid = id FROM t") != 0, t.integer_key) << column;
  }
}

TEST_F(CatalogTest, ReadsTheSequence) {
  const std::string sql = "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)";
  SourceTable fresh = made(sql);
  EXPECT_TRUE(fresh.autoincrement);
  EXPECT_EQ(fresh.last_sequence, std::nullopt);
  database_.execute("INSERT INTO t VALUES (41); DELETE FROM t");
  EXPECT_EQ(table("t").last_sequence, 41);
  EXPECT_EQ(fingerprint(table("t")), fingerprint(fresh));
  database_.execute("UPDATE sqlite_sequence SET seq = 0");
  EXPECT_EQ(table("t").last_sequence, 0);
  database_.execute("UPDATE sqlite_sequence SET seq = NULL");
  EXPECT_EQ(table("t").last_sequence, std::nullopt);
  EXPECT_FALSE(made("CREATE TABLE t(id INTEGER PRIMARY KEY)").autoincrement);
}

TEST_F(CatalogTest, ReadsIndexes) {
  made("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b, UNIQUE (a, id))");
  database_.execute(
      "CREATE UNIQUE INDEX i1 ON t(a COLLATE RTRIM DESC, b) WHERE b > 1; CREATE INDEX i2 ON t(lower(a), id)");
  SourceTable t = table("t");
  ASSERT_THAT(t.indexes, SizeIs(3));
  SourceIndexPart id{"id", "BINARY", false};
  EXPECT_EQ(t.indexes[0], (SourceIndex{"i1",
                                       true,
                                       false,
                                       true,
                                       {{"a", "RTRIM", true}, {"b", "BINARY", false}},
                                       "CREATE UNIQUE INDEX i1 ON t(a COLLATE RTRIM DESC, b) WHERE b > 1"}));
  EXPECT_EQ(t.indexes[1], (SourceIndex{"i2",
                                       false,
                                       false,
                                       false,
                                       {{std::nullopt, "BINARY", false}, id},
                                       "CREATE INDEX i2 ON t(lower(a), id)"}));
  EXPECT_EQ(t.indexes[2],
            (SourceIndex{"sqlite_autoindex_t_1", true, true, false, {{"a", "NOCASE", false}, id}, ""}));
}

TEST_F(CatalogTest, ReadsForeignKeysAndResolvesTheirParents) {
  database_.execute(
      "CREATE TABLE Parent(Id INTEGER PRIMARY KEY, Code UNIQUE); CREATE TABLE pair(x, y, PRIMARY KEY (y, x));"
      "CREATE VIEW seen AS SELECT 1");
  SourceTable t = made(
      "CREATE TABLE t(a REFERENCES PARENT ON DELETE CASCADE, b REFERENCES parent(CODE) ON UPDATE SET NULL,"
      " c REFERENCES nowhere, d REFERENCES nowhere(z), e REFERENCES seen, FOREIGN KEY (a, b) REFERENCES "
      "pair)");
  EXPECT_THAT(t.foreign_keys,
              ElementsAre(SourceForeignKey{{"a"}, "Parent", {"Id"}, "CASCADE", "NO ACTION"},
                          SourceForeignKey{{"b"}, "Parent", {"Code"}, "NO ACTION", "SET NULL"},
                          SourceForeignKey{{"c"}, "nowhere", {}, "NO ACTION", "NO ACTION"},
                          SourceForeignKey{{"d"}, "nowhere", {"z"}, "NO ACTION", "NO ACTION"},
                          SourceForeignKey{{"e"}, "seen", {}, "NO ACTION", "NO ACTION"},
                          SourceForeignKey{{"a", "b"}, "pair", {"y", "x"}, "NO ACTION", "NO ACTION"}));
}

TEST_F(CatalogTest, NamesWhatIsNotCarriedOver) {
  database_.execute(
      "CREATE TABLE t(a UNIQUE ON CONFLICT IGNORE, b REFERENCES t(a) DEFERRABLE INITIALLY DEFERRED); CREATE "
      "TABLE log(x);"
      "CREATE VIEW v AS SELECT 1 FROM missing; CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END;"
      "CREATE VIRTUAL TABLE f USING fts5(x); CREATE TABLE _alembic_tmp_t(a); PRAGMA user_version = 7");
  EXPECT_THAT(names({}, {"LO?", "typo*"}), ElementsAre("t"));
  const std::vector<CatalogNote> expected = {{"temporary table", "_alembic_tmp_t", ""},
                                             {"virtual table", "f", ""},
                                             {"shadow table", "f_data", ""},
                                             {"excluded table", "log", ""},
                                             {"conflict clause", "t", ""},
                                             {"deferred foreign key", "t", ""},
                                             {"view", "v", ""},
                                             {"trigger", "tr", "t"},
                                             {"unmatched pattern", "typo*", "exclude"}};
  for (const CatalogNote& note : expected) EXPECT_THAT(notes_.not_carried, Contains(note)) << note.kind;
  EXPECT_THAT(notes_.not_carried, SizeIs(expected.size() + 4));  // fts5 has five shadow tables
  EXPECT_EQ(notes_.database.encoding, "UTF-8");
  EXPECT_EQ(notes_.database.page_size, 4096);
  EXPECT_EQ(notes_.database.user_version, 7);
  EXPECT_EQ(notes_.database.journal_mode, "memory");
}

TEST_F(CatalogTest, AVirtualTableOfAnUnknownModuleIsOnlyNamed) {
  database_.execute(
      "CREATE TABLE t(a); PRAGMA writable_schema = on; INSERT INTO sqlite_schema VALUES ('table', 'vv', "
      "'vv', 0,"
      " 'CREATE VIRTUAL TABLE vv USING nosuch(x)'); PRAGMA writable_schema = reset");
  EXPECT_THAT(names({}, {}), ElementsAre("t"));
  EXPECT_THAT(notes_.not_carried, ElementsAre(CatalogNote{"virtual table", "vv", ""}));
}

TEST_F(CatalogTest, IncludesAndExcludesByGlob) {
  database_.execute(
      "CREATE TABLE user(a); CREATE TABLE User_Role(a); CREATE TABLE sqliteish(a); CREATE TABLE \"käse\"(a);"
      "CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT)");
  EXPECT_THAT(names({}, {}), ElementsAre("käse", "s", "sqliteish", "user", "User_Role"));
  EXPECT_THAT(names({"USER*"}, {"*role"}), ElementsAre("user"));
  EXPECT_THAT(names({"k?se", "s"}, {}), ElementsAre("käse", "s"));
  EXPECT_THAT(names({"nope"}, {}), IsEmpty());
  EXPECT_THAT(notes_.not_carried, Contains(CatalogNote{"unmatched pattern", "nope", "include"}));
}

TEST(Glob, Matches) {
  for (auto [pattern, name] :
       {std::pair{"", ""}, {"*", ""}, {"**a*", "ba"}, {"a*b*c", "aXbbXc"}, {"?", "é"}, {"*?b", "éb"}}) {
    EXPECT_TRUE(matches_glob(pattern, name)) << pattern << " " << name;
  }
  for (auto [pattern, name] :
       {std::pair{"", "a"}, {"a", ""}, {"a*b", "abc"}, {"?", ""}, {"??", "é"}, {"[a]", "a"}}) {
    EXPECT_FALSE(matches_glob(pattern, name)) << pattern << " " << name;
  }
}

TEST_F(CatalogTest, Utf16TellsRowsApartByRowidOnly) {
  database_.execute("PRAGMA encoding = 'UTF-16le'");
  EXPECT_EQ(made("CREATE TABLE t(id TEXT NOT NULL PRIMARY KEY CHECK (id <> 'ü'))").identity, Identity::rowid);
  EXPECT_EQ(table("t").checks.at(0).sql, "id <> 'ü'");
  EXPECT_EQ(made("CREATE TABLE t(id INTEGER PRIMARY KEY)").identity, Identity::key);
  EXPECT_EQ(notes_.database.encoding, "UTF-16le");
  database_.execute("CREATE TABLE w(id TEXT PRIMARY KEY) WITHOUT ROWID");
  EXPECT_THROW(tables(), Refused);
  EXPECT_THAT(names({}, {"w"}), ElementsAre("t"));
}

TEST_F(CatalogTest, RowidAliasIsNoColumn) {
  EXPECT_EQ(rowid_alias(made("CREATE TABLE t(a)")), "rowid");
  EXPECT_EQ(rowid_alias(made("CREATE TABLE t(a, ROWID)")), "_rowid_");
  EXPECT_EQ(rowid_alias(made("CREATE TABLE t(_rowid_, rowid AS (1))")), "oid");
  EXPECT_THROW(rowid_alias(made("CREATE TABLE t(_rowid_, rowid, Oid)")), Refused);
}

TEST_F(CatalogTest, FingerprintChangesWithTheSchemaAndNotWithItsLayout) {
  const std::string first = fingerprint(made("CREATE TABLE t(a INT, b TEXT CHECK (b <> ''))"));
  EXPECT_THAT(first, SizeIs(64));
  EXPECT_EQ(fingerprint(made("CREATE TABLE  t ( a INT , -- one\n b TEXT CHECK( b <> '' ) )")), first);
  std::vector<std::string> seen = {first};
  for (std::string sql :
       {"CREATE TABLE t(a INT, b TEXT CHECK (b <> ' '))", "CREATE TABLE t(a INT, b TEXT)",
        "CREATE TABLE t(a INT, b TEXT) STRICT", "CREATE TABLE t(a INT NOT NULL, b TEXT)",
        "CREATE TABLE t(a INT DEFAULT 1, b TEXT)", "CREATE TABLE t(A INT, b TEXT)",
        "CREATE TABLE t(a INT UNIQUE, b TEXT)", "CREATE TABLE t(a INT UNIQUE ON CONFLICT FAIL, b TEXT)",
        "CREATE TABLE t(a INT, b TEXT); CREATE INDEX i ON t(a)",
        "CREATE TABLE t(a INT, b TEXT); CREATE INDEX i ON t(b)",
        "CREATE TABLE t(a INT, b TEXT); CREATE INDEX i ON t(b DESC)",
        "CREATE TABLE t(a INT REFERENCES t(b), b TEXT)", "CREATE TABLE t(a INT, b TEXT, PRIMARY KEY (a, b))",
        "CREATE TABLE t(a INT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID"}) {
    std::string next = fingerprint(made(sql));
    EXPECT_THAT(seen, Not(Contains(next))) << sql;
    seen.push_back(next);
  }
}

TEST_F(CatalogTest, FingerprintOutlivesVacuumAndReopening) {
  std::string path = ::testing::TempDir() + "catalog_fingerprint.db";
  std::remove(path.c_str());
  auto fingerprint_in = [](Database& database) { return fingerprint(read_catalog(database, {}, {}).at(0)); };
  std::string first;
  {
    Database database(path, Database::Mode::create, std::chrono::seconds(1));
    database.execute(
        "CREATE TABLE t(a UNIQUE ON CONFLICT REPLACE, b UNIQUE, c REFERENCES t(a)); CREATE INDEX z ON t(a, "
        "b); "
        "CREATE INDEX y ON t(c)");
    first = fingerprint_in(database);
    database.execute("INSERT INTO t VALUES (1, 2, 1); VACUUM; ANALYZE");
    EXPECT_EQ(fingerprint_in(database), first);
  }
  Database again(path, Database::Mode::read_only, std::chrono::seconds(1));
  EXPECT_EQ(fingerprint_in(again), first);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace tidegate::capture
