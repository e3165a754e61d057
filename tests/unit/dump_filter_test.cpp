#include "apply/schema/native/dump_filter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

#include "apply/schema/native/dump_entries.hpp"
#include "apply/schema/native/pg_tokens.hpp"
#include "apply/schema/native/spelling.hpp"
#include "apply/schema/native/target_extensions.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

using native::QualifiedName;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> statements(std::string_view sql) {
  std::vector<std::string> found;
  for (const auto& piece : native::pieces_of(sql)) {
    if (!piece.comment) found.push_back(piece.text);
  }
  return found;
}

TEST(PgTokens, StatementsEndAtTheirOwnSemicolons) {
  EXPECT_THAT(
      statements(
          "a; b ;\n-- c;\n d /* ; /* ; */ ; */ e; 'f;''g' ; E'h\\';' ; \"i;\"\"j\"; $$k;$$; $t$l;$$;$t$"),
      ElementsAre("a", "b", "d /* ; /* ; */ ; */ e", "'f;''g'", "E'h\\';'", "\"i;\"\"j\"", "$$k;$$",
                  "$t$l;$$;$t$"));
  EXPECT_THAT(statements("\\restrict a'b\nx;\n\\unrestrict a'b\ny;\n"), ElementsAre("x", "y"));
  EXPECT_THAT(statements(""), IsEmpty());
}

TEST(PgTokens, AnAtomicBodyIsOnePiece) {
  const std::string function =
      "CREATE FUNCTION a.f() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END";
  EXPECT_THAT(statements(function + "; next;"), ElementsAre(function, "next"));
  EXPECT_THAT(statements("BEGIN; x; END;"), ElementsAre("BEGIN", "x", "END"));
}

TEST(PgTokens, WhatStaysOpenIsRefused) {
  for (const char* open : {"'a", "\"a", "/* a", "/* /* */", "$$a", "$x$ $y$", "E'\\'"})
    EXPECT_THROW(native::tokens_of(open), std::invalid_argument) << open;
}

TEST(PgTokens, NamesAreFoundWhereverTheyAre) {
  EXPECT_THAT(
      native::names_in("SELECT Public.F(x), \"S s\".\"T\".c, OPERATOR(ext.=) 1.5, 'a.b', 'not a.b', z"),
      ElementsAre(QualifiedName{"public", "f"}, QualifiedName{"S s", "T"}, QualifiedName{"ext", "="},
                  QualifiedName{"a", "b"}));
  EXPECT_THAT(native::names_in("AS $$ SELECT a.b('it''s') $$"), IsEmpty());
  EXPECT_THAT(native::names_in("AS $$ SELECT a.b('it''s') $$", true), ElementsAre(QualifiedName{"a", "b"}));
}

TEST(PgTokens, MovedNamesMoveAndValuesDoNot) {
  const MovedNames moved = {{{"public", "citext"}, "extensions"}, {{"public", "="}, "extensions"}};
  EXPECT_EQ(native::with_moved("a public.citext[] DEFAULT 'public.citext'::text, public.citex", moved),
            "a \"extensions\".citext[] DEFAULT 'public.citext'::text, public.citex");
  EXPECT_EQ(native::with_moved("x OPERATOR(public.=) y 'public.citext'::regtype", moved),
            "x OPERATOR(\"extensions\".=) y '\"extensions\".\"citext\"'::regtype");
  EXPECT_EQ(native::with_moved("AS $b$ SELECT ''::public.citext $b$", moved),
            "AS $b$ SELECT ''::\"extensions\".citext $b$");
}

// Whatever the bytes: an exception or pieces, and pieces of statements that hold no quote come back whole.
TEST(PgTokens, AnyBytes) {
  testing_support::Seeded seeded;
  SCOPED_TRACE(seeded.told());
  const std::string alphabet = "ab;'\"$-/*\\ \n.(E1:=\xc3\xa9";
  for (int round = 0; round < seeded.rounds(2000); ++round) {
    std::string sql;
    for (auto i = seeded.below(40); i > 0; --i) sql += alphabet[seeded.below(alphabet.size())];
    try {
      for (const auto& piece : native::pieces_of(sql)) EXPECT_THAT(sql, HasSubstr(piece.text));
      native::names_in(sql, true);
    } catch (const std::invalid_argument&) {
    }
  }
}

TEST(Spelling, AListOfVarcharsBecomesWhatItWas) {
  const std::string printed =
      "CHECK (((g)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))";
  EXPECT_EQ(native::with_short_lists(printed, {"g"}),
            "CHECK ((g = ANY (ARRAY['a'::character varying, 'b'::character varying])))");
  EXPECT_EQ(native::with_short_lists(printed, {"h"}), printed);
  EXPECT_EQ(native::with_short_lists("((\"G g\")::text <> ALL ((ARRAY['a'::character varying])::text[])) x",
                                     {"G g"}),
            "(\"G g\" <> ALL (ARRAY['a'::character varying])) x");
  const std::string other = "((g)::text = ANY ((ARRAY['a'::character varying, h])::text[]))";
  EXPECT_EQ(native::with_short_lists(other, {"g"}), other);
}

std::string entry(const std::string& name, const std::string& type, const std::string& sql,
                  const std::string& schema = "public") {
  return "--\n-- Name: " + name + "; Type: " + type + "; Schema: " + schema + "; Owner: -\n--\n\n" + sql +
         ";\n\n\n";
}

TEST(DumpEntries, AnnouncementsAreReadFromTheirEnd) {
  const auto entries = native::entries_of(
      "SET x = 1;\n" +
      entry("odd; Type: TABLE; Schema: a; Owner: -", "VIEW", "CREATE VIEW s.v AS SELECT 1", "s") +
      entry("empty", "TABLE", "SET default_table_access_method = heap"));
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].type, "VIEW");
  EXPECT_EQ(entries[0].schema, "s");
  EXPECT_EQ(entries[0].subject, QualifiedName("s", "v"));
}

DumpChoice choice_of(const std::vector<std::string>& tables) {
  DumpChoice choice;
  for (const auto& name : tables) {
    SourceTable table;
    table.name = name;
    choice.tables.push_back(table);
  }
  return choice;
}

std::vector<std::string> codes(const NativeSchema& schema) {
  std::vector<std::string> codes;
  for (const auto& finding : schema.ddl.findings) codes.push_back(finding.code);
  return codes;
}

TEST(DumpFilter, AFunctionThatAnOrdinaryRoleCannotMakeBlocks) {
  const auto schema = filter_dump(
      entry("f()", "FUNCTION", "CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS 'lib', 'f'") +
          entry("t", "TABLE", "CREATE TABLE public.t (a int DEFAULT public.f())"),
      choice_of({"public.t"}));
  EXPECT_THAT(codes(schema), ElementsAre("function-not-carried"));
  EXPECT_THAT(schema.ddl.before_load, Not(Contains(HasSubstr("LANGUAGE c"))));
}

TEST(DumpFilter, ATableThatTheDumpLacksBlocks) {
  const auto schema = filter_dump("", choice_of({"public.t"}));
  ASSERT_THAT(codes(schema), ElementsAre("table-not-dumped"));
  EXPECT_EQ(schema.ddl.findings[0].level, Finding::Level::block);
}

TEST(DumpFilter, ObjectsComeInTheOrderInWhichTheyNeedEachOther) {
  const auto schema = filter_dump(
      entry("t", "TABLE", "CREATE TABLE public.t (a int)") +
          entry("t c", "CHECK CONSTRAINT", "ALTER TABLE public.t ADD CONSTRAINT c CHECK (a > 0) NOT VALID") +
          entry("t u", "CONSTRAINT", "ALTER TABLE ONLY public.t ADD CONSTRAINT u UNIQUE (a)") +
          entry("t p", "CONSTRAINT", "ALTER TABLE ONLY public.t ADD CONSTRAINT p PRIMARY KEY (a)") +
          entry("i", "INDEX",
                "CREATE INDEX i ON public.t USING btree (a);\nALTER TABLE public.t CLUSTER ON i") +
          entry("t f", "FK CONSTRAINT",
                "ALTER TABLE ONLY public.t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES public.t(a)") +
          entry(
              "t g", "FK CONSTRAINT",
              "ALTER TABLE ONLY public.t ADD CONSTRAINT g FOREIGN KEY (a) REFERENCES public.t(a) NOT VALID"),
      choice_of({"public.t"}));
  std::vector<std::string> names;
  for (const auto& object : schema.ddl.after_load) names.push_back(object.name);
  EXPECT_THAT(names, ElementsAre("p", "u", "i", "c", "f", "g"));
  const auto& built = schema.ddl.after_load;
  EXPECT_EQ(built[0].kind, DdlObject::Kind::primary_key);
  EXPECT_EQ(built[0].table, "public.t");
  EXPECT_EQ(built[2].statements.size(), 2u);
  EXPECT_THAT(built[4].statements, ElementsAre(testing::EndsWith("public.t(a) NOT VALID"),
                                               "ALTER TABLE \"public\".\"t\" VALIDATE CONSTRAINT \"f\""));
  EXPECT_EQ(built[5].statements.size(), 1u);
  EXPECT_THAT(schema.at_end, ElementsAre("NOTIFY pgrst, 'reload schema'"));
}

TEST(DumpFilter, RowLevelSecurityIsOursUnlessSwitchedOff) {
  const std::string dump = entry("t", "TABLE", "CREATE TABLE public.t (a int)") +
                           entry("t", "ROW SECURITY", "ALTER TABLE public.t ENABLE ROW LEVEL SECURITY");
  auto choice = choice_of({"public.t"});
  EXPECT_THAT(filter_dump(dump, choice).ddl.before_load,
              Contains("ALTER TABLE \"public\".\"t\" ENABLE ROW LEVEL SECURITY"));
  choice.options.enable_rls = false;
  EXPECT_THAT(filter_dump(dump, choice).ddl.before_load,
              Contains("ALTER TABLE public.t ENABLE ROW LEVEL SECURITY"));
}

TEST(DumpFilter, AnExtensionStaysWhereTheTargetHasIt) {
  const std::string dump =
      entry("citext", "EXTENSION", "CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public", "-") +
      entry("t", "TABLE", "CREATE TABLE public.t (a public.citext)");
  auto choice = choice_of({"public.t"});
  choice.extensions = {{"citext", "public", {"citext"}}};
  auto schema = filter_dump(dump, choice);
  EXPECT_THAT(schema.ddl.before_load,
              Contains("CREATE EXTENSION IF NOT EXISTS \"citext\" WITH SCHEMA \"extensions\""));
  EXPECT_THAT(schema.ddl.before_load, Contains("CREATE TABLE public.t (a \"extensions\".citext)"));
  choice.target_extensions = {{"citext", "public"}};
  schema = filter_dump(dump, choice);
  EXPECT_THAT(schema.ddl.before_load, Not(Contains(StartsWith("CREATE EXTENSION"))));
  EXPECT_THAT(schema.ddl.before_load, Contains("CREATE TABLE public.t (a public.citext)"));
  EXPECT_THAT(schema.moved, IsEmpty());
  EXPECT_THAT(schema.extensions, ElementsAre("citext"));
  EXPECT_THAT(missing_extensions(schema.extensions, {{{"citext", "public"}}, {}}), IsEmpty());
  EXPECT_THAT(missing_extensions(schema.extensions, {{}, {"citext"}}), IsEmpty());
  ASSERT_EQ(missing_extensions(schema.extensions, {}).size(), 1u);
  EXPECT_EQ(missing_extensions(schema.extensions, {})[0].level, Finding::Level::block);
}

}  // namespace
}  // namespace tidegate
