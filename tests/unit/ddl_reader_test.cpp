#include "capture/sqlite/ddl_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "capture/sqlite/sql_tokens.hpp"
#include "db/error.hpp"
#include "db/sqlite.hpp"

namespace tidegate::capture {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> texts(std::string_view sql) {
  std::vector<std::string> out;
  for (const Token& token : tokenize(sql)) out.emplace_back(token.text);
  return out;
}

TEST(SqlTokens, QuotesOfAllKindsHoldTheirOwnQuoteDoubled) {
  EXPECT_THAT(texts(R"("a""b" `c``d` [e"f] 'g''h' x'0A')"),
              ElementsAre(R"("a""b")", "`c``d`", "[e\"f]", "'g''h'", "x'0A'"));
  EXPECT_EQ(unquoted(tokenize(R"("a""b")")[0]), "a\"b");
  EXPECT_EQ(unquoted(tokenize("`c``d`")[0]), "c`d");
  EXPECT_EQ(unquoted(tokenize("[e\"\"f]")[0]), "e\"\"f");
  EXPECT_EQ(unquoted(tokenize("'g''h'")[0]), "g'h");
}

TEST(SqlTokens, CommentsAndMarksAreGaps) {
  EXPECT_THAT(texts("\xef\xbb\xbf"
                    "a/* ( */b --)\nc/**/- -d/* open"),
              ElementsAre("a", "b", "c", "-", "-", "d"));
  EXPECT_EQ(joined(tokenize(" a  > /* x */ 'p -- q'\n\t-- end")), "a > 'p -- q'");
}

TEST(SqlTokens, NumbersAreOneToken) {
  EXPECT_THAT(texts("1.5e-3,.5,0xFf,7.,1e5,-2"),
              ElementsAre("1.5e-3", ",", ".5", ",", "0xFf", ",", "7.", ",", "1e5", ",", "-", "2"));
  EXPECT_EQ(tokenize("12ab")[0].kind, TokenKind::broken);
}

TEST(SqlTokens, UnclosedQuotesAreBroken) {
  for (std::string_view text : {"'a", "\"a", "`a", "[a", "x'0", "x'0'", "'a''"}) {
    ASSERT_THAT(tokenize(text), SizeIs(1)) << text;
    EXPECT_EQ(tokenize(text)[0].kind, TokenKind::broken) << text;
  }
}

TEST(DdlReader, ReadsChecksWithTheirNames) {
  TableDdl ddl = read_table_ddl(R"(CREATE TABLE t (
    a INT CHECK (a > 0), b VARCHAR(10, 2) CONSTRAINT "b's" NOT NULL CONSTRAINT [b ok] CHECK(length(b) < (3)),
    CONSTRAINT c1 CHECK (a <> 1 AND b <> ')' ) ON CONFLICT FAIL
    CHECK (a IN (1,2)), CONSTRAINT lonely
  ))");
  EXPECT_THAT(ddl.checks,
              ElementsAre(SourceCheck{"", "a > 0"}, SourceCheck{"b ok", "length(b) < (3)"},
                          SourceCheck{"c1", "a <> 1 AND b <> ')'"}, SourceCheck{"", "a IN (1,2)"}));
  EXPECT_THAT(ddl.not_understood, IsEmpty());
  EXPECT_TRUE(ddl.has_on_conflict);
}

TEST(DdlReader, ReadsGeneratedColumns) {
  TableDdl ddl = read_table_ddl(
      "CREATE TABLE t(a, b INT GENERATED ALWAYS AS (a*2) STORED NOT NULL, c AS (a||')'),"
      " \"d\" text as (lower(a)) virtual check(d<>''), generated, e generated always as (1))");
  EXPECT_THAT(ddl.columns, ElementsAre("a", "b", "c", "d", "generated", "e"));
  EXPECT_THAT(ddl.generated,
              ElementsAre(GeneratedColumn{"b", "a*2", true}, GeneratedColumn{"c", "a||')'", false},
                          GeneratedColumn{"d", "lower(a)", false}, GeneratedColumn{"e", "1", false}));
  EXPECT_THAT(ddl.checks, ElementsAre(SourceCheck{"", "d<>''"}));
  EXPECT_THAT(ddl.not_understood, IsEmpty());
}

TEST(DdlReader, WordsInsideQuotesAndCommentsAreNotTheGrammar) {
  TableDdl ddl = read_table_ddl(R"(CREATE TABLE "CHECK (x" ( -- CHECK (1)
    [check] "CHECK" DEFAULT 'CHECK (a > 1), b AS (2)', /* , d INT AUTOINCREMENT ) WITHOUT ROWID */
    `a``b,` int default "STRICT", 'unique' default (')' || x'29'), e DEFAULT -1.5e+3 DEFAULT +x'00'
  ) -- STRICT
  ; )");
  EXPECT_EQ(ddl.table, "CHECK (x");
  EXPECT_THAT(ddl.columns, ElementsAre("check", "a`b,", "unique", "e"));
  EXPECT_THAT(ddl.checks, IsEmpty());
  EXPECT_THAT(ddl.generated, IsEmpty());
  EXPECT_FALSE(ddl.autoincrement || ddl.without_rowid || ddl.strict);
  EXPECT_THAT(ddl.not_understood, IsEmpty());
}

TEST(DdlReader, ReadsOptionsAndAutoincrement) {
  TableDdl column = read_table_ddl(
      "create table if not exists main.t(id integer primary key desc on conflict replace "
      "autoincrement) strict, without rowid;");
  EXPECT_TRUE(column.autoincrement && column.strict && column.without_rowid && column.has_on_conflict);
  EXPECT_EQ(column.table, "t");
  TableDdl table = read_table_ddl("CREATE TABLE t(id INTEGER, PRIMARY KEY(id AUTOINCREMENT))");
  EXPECT_TRUE(table.autoincrement);
  TableDdl name =
      read_table_ddl("CREATE TABLE t(id INTEGER, \"AUTOINCREMENT\" x, PRIMARY KEY(id, \"AUTOINCREMENT\"))");
  EXPECT_FALSE(name.autoincrement);
}

TEST(DdlReader, FollowsForeignKeys) {
  TableDdl ddl = read_table_ddl(
      "CREATE TABLE t(a REFERENCES p ON DELETE SET NULL MATCH full ON UPDATE NO ACTION NOT "
      "DEFERRABLE INITIALLY IMMEDIATE CHECK(a), b REFERENCES p(x) DEFERRABLE, FOREIGN KEY (a,b) "
      "REFERENCES q (c,d) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED)");
  EXPECT_THAT(ddl.not_understood, IsEmpty());
  EXPECT_TRUE(ddl.has_deferred_keys);
  EXPECT_THAT(ddl.checks, SizeIs(1));
}

TEST(DdlReader, FollowsAlembicAndSqlalchemy) {
  TableDdl ddl = read_table_ddl(
      "CREATE TABLE \"user\" (\n\tid INTEGER NOT NULL, \n\temail VARCHAR(120) NOT NULL, \n\tis_active "
      "BOOLEAN DEFAULT (1) NOT "
      "NULL, \n\trole VARCHAR(7), \n\tcreated_at DATETIME DEFAULT CURRENT_TIMESTAMP, \n\tPRIMARY KEY (id), "
      "\n\tCONSTRAINT "
      "uq_user_email UNIQUE (email), \n\tCHECK (is_active IN (0, 1)), \n\tCONSTRAINT role_ck CHECK (role IN "
      "('STUDENT', "
      "'TEACHER'))\n, nick TEXT COLLATE NOCASE)");
  EXPECT_THAT(ddl.not_understood, IsEmpty());
  EXPECT_THAT(ddl.columns, ElementsAre("id", "email", "is_active", "role", "created_at", "nick"));
  EXPECT_THAT(ddl.checks, ElementsAre(SourceCheck{"", "is_active IN (0, 1)"},
                                      SourceCheck{"role_ck", "role IN ('STUDENT', 'TEACHER')"}));
}

TEST(DdlReader, FollowsChinooksBrackets) {
  TableDdl ddl = read_table_ddl(
      "CREATE TABLE [Album]\n(\n    [AlbumId] INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,\n    [Title] "
      "NVARCHAR(160)  NOT "
      "NULL,\n    [ArtistId] INTEGER  NOT NULL,\n    FOREIGN KEY ([ArtistId]) REFERENCES [Artist] "
      "([ArtistId]) \n\t\tON DELETE "
      "NO ACTION ON UPDATE NO ACTION\n)");
  EXPECT_THAT(ddl.not_understood, IsEmpty());
  EXPECT_EQ(ddl.table, "Album");
  EXPECT_THAT(ddl.columns, ElementsAre("AlbumId", "Title", "ArtistId"));
  EXPECT_TRUE(ddl.autoincrement);
}

TEST(DdlReader, SaysWhatItCannotFollowAndReadsTheRest) {
  TableDdl ddl = read_table_ddl("CREATE TABLE t(a FROBNICATE(1) (2) CHECK(a), b CHECK (b > 0)) SHINY");
  EXPECT_THAT(ddl.not_understood, ElementsAre("the column \"a\", at '('", "the table's options, at 'SHINY'"));
  EXPECT_THAT(ddl.checks, ElementsAre(SourceCheck{"", "b > 0"}));
  for (std::string_view text :
       {"", "SELECT 1", "CREATE TABLE t AS SELECT 1", "CREATE TABLE t(", "CREATE TABLE t(a CHECK (a",
        "CREATE TABLE t(a 'x", "CREATE VIRTUAL TABLE f USING fts5(x)", "CREATE TABLE t(,)"}) {
    EXPECT_FALSE(read_table_ddl(text).not_understood.empty()) << text;
  }
  EXPECT_FALSE(read_table_ddl(std::string_view("CREATE TABLE t(a \0)", 19)).not_understood.empty());
}

TEST(DdlReader, DeepNestingIsNoRecursion) {
  std::string deep =
      "CREATE TABLE t(a CHECK " + std::string(1'000'000, '(') + std::string(1'000'000, ')') + ")";
  EXPECT_THAT(read_table_ddl(deep).checks, SizeIs(1));
}

const std::vector<std::string> seeds = {
    "CREATE TABLE t(a INT CHECK (a > 0), b VARCHAR(10) CONSTRAINT n NOT NULL DEFAULT 'x', c AS (a+1) STORED, "
    "UNIQUE(a,b))",
    "CREATE TABLE [t x] ([id] INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `n` \"TEXT\" /* c */ COLLATE "
    "NOCASE, d DEFAULT -1.5)",
    "CREATE TABLE t(a ANY, b INTEGER GENERATED ALWAYS AS (length(a)) VIRTUAL, PRIMARY KEY(a)) WITHOUT ROWID, "
    "STRICT",
    "CREATE TABLE t(a REFERENCES t(b) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED, b UNIQUE ON CONFLICT "
    "IGNORE, -- x\n"
    " CONSTRAINT k CHECK (a <> ')') CHECK (b IN (1,2)) FOREIGN KEY (a) REFERENCES t)",
    "CREATE TABLE t(x_id INT, \"a\"\"b\" DEFAULT (1+(2)), 'c' DEFAULT x'00', d DEFAULT CURRENT_TIME, e "
    "datetime DEFAULT (now()))",
};

std::string mutated(std::string text, std::mt19937_64& random) {
  static const std::vector<std::string> pieces = {"(",
                                                  ")",
                                                  ",",
                                                  "'",
                                                  "\"",
                                                  "`",
                                                  "[",
                                                  "]",
                                                  "--",
                                                  "/*",
                                                  "*/",
                                                  " ",
                                                  "\n",
                                                  ";",
                                                  " CHECK ",
                                                  " AS ",
                                                  " CONSTRAINT ",
                                                  "x'",
                                                  ".",
                                                  "1",
                                                  " NOT ",
                                                  " NULL ",
                                                  "a",
                                                  " DEFAULT ",
                                                  " ON ",
                                                  " GENERATED ALWAYS AS ",
                                                  " STRICT ",
                                                  "-",
                                                  "\xc3"};
  for (int edits = 1 + static_cast<int>(random() % 3); edits > 0; --edits) {
    std::size_t at = random() % (text.size() + 1);
    switch (random() % 4) {
      case 0:
        text.erase(at, random() % 8);
        break;
      case 1:
        text.insert(at, pieces[random() % pieces.size()]);
        break;
      case 2:
        text.insert(at, text.substr(random() % (text.size() + 1), random() % 30));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(random() % 4 ? 32 + random() % 95 : random());
    }
  }
  return text;
}

// Where SQLite itself took the text, it judges ours: all must be understood and agree with what it made of
// it.
// Returns whether it took it.
bool compare_with_sqlite(const std::string& sql) {
  sqlite::Database database = sqlite::Database::in_memory();
  try {
    database.prepare(sql).run();
  } catch (const Error&) {
    return false;
  }
  sqlite::Statement made = database.prepare(
      "SELECT m.name, m.sql, l.wr, l.strict FROM sqlite_schema m JOIN pragma_table_list l "
      "USING (name) WHERE m.type = 'table' AND l.schema = 'main' AND l.type = 'table' "
      "AND m.name <> 'sqlite_sequence'");
  if (!made.step()) return false;
  TableDdl ddl = read_table_ddl(made.text(1));
  SCOPED_TRACE(made.text(1));
  EXPECT_THAT(ddl.not_understood, IsEmpty());
  EXPECT_EQ(ddl.table, made.text(0));
  EXPECT_EQ(ddl.without_rowid, made.integer(2) != 0);
  EXPECT_EQ(ddl.strict, made.integer(3) != 0);
  std::vector<std::string> columns, generated, read_generated;
  sqlite::Statement info = database.prepare("SELECT name, hidden FROM pragma_table_xinfo(?)");
  info.bind(1, made.bytes(0));
  while (info.step()) {
    columns.push_back(info.text(0));
    if (info.integer(1)) generated.push_back(info.text(0) + (info.integer(1) == 3 ? " stored" : ""));
  }
  for (const GeneratedColumn& column : ddl.generated)
    read_generated.push_back(column.column + (column.stored ? " stored" : ""));
  EXPECT_EQ(ddl.columns, columns);
  EXPECT_EQ(read_generated, generated);
  return true;
}

TEST(DdlReader, AgreesWithSqliteOnMutatedText) {
  const char* given = std::getenv("TIDEGATE_SEED");
  std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "TIDEGATE_SEED=" << seed << "\n";
  const char* asked = std::getenv("TIDEGATE_ROUNDS");
  int rounds = asked ? std::atoi(asked) : 20'000, taken = 0;
  std::mt19937_64 random(seed);
  for (int i = 0; i < rounds && !HasFailure(); ++i) {
    std::string sql = mutated(seeds[random() % seeds.size()], random);
    read_table_ddl(sql);
    taken += compare_with_sqlite(sql) ? 1 : 0;
  }
  EXPECT_GT(taken, rounds / 100);
}

}  // namespace
}  // namespace tidegate::capture
