#include "replicator/config/load.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "replicator/failure.hpp"

namespace tidegate {
namespace {

const char* const both_ends = "[source]\nurl = \"/srv/app.db\"\n[target]\nurl = \"postgresql://h/d\"\n";

Settings read(const std::string& text, const Flags& flags = {}, const Environment& environment = {},
              Purpose purpose = Purpose::run) {
  return settings_from(flags, environment, "/srv", purpose, text, "tidegate.toml");
}

std::string complaint(const std::string& text, const Flags& flags = {}, const Environment& environment = {}) {
  try {
    read(text, flags, environment);
  } catch (const Usage& failure) {
    return failure.what();
  }
  return "no complaint";
}

TEST(Config, DefaultsAreThoseOfTheDesign) {
  const Settings s = read(both_ends);
  EXPECT_EQ(s.pipeline, "app");
  EXPECT_EQ(s.state_dir, "/srv/.tidegate/app");
  EXPECT_EQ(s.source.writers, Writers::upgrades);
  EXPECT_EQ(s.source.on_schema_change, OnSchemaChange::carry);
  EXPECT_FALSE(s.source.allow_wal);
  EXPECT_EQ(s.target.schema, TargetSchema::create);
  EXPECT_EQ(s.apply.max_rows, 10'000u);
  EXPECT_EQ(s.apply.max_bytes, 16u << 20);
  EXPECT_EQ(s.apply.max_delay.count(), 50);
  EXPECT_EQ(s.journal.retention, std::chrono::hours(24));
  EXPECT_FALSE(s.adopt);
}

TEST(Config, EverySectionIsRead) {
  const Settings s = read(R"(
[pipeline]
name = "codopia"
state_dir = "state"
[source]
path = "data/app.db"
kind = "sqlite"
writers = "waits"
on_schema_change = "pause"
allow_wal = true
ca_file = "source.crt"
pg_bin = "/opt/pg/bin"
set_identity_full = true
accept_unbounded_wal = true
schema_poll = "700ms"
spool_limit = "3MiB"
wal_room = "9GiB"
[target]
host = "db.example.org"
port = 5433
user = "anna"
password = "${PW}"
dbname = "app"
ca_file = "prod-ca.crt"
schema = "existing"
[[target.grants]]
role = "authenticated"
privileges = ["select", "Insert"]
[tables]
include = ["*"]
exclude = ["tmp_*"]
[apply]
max_rows = 5
max_bytes = "1MiB"
max_delay = "1s"
[journal]
retention = "2h"
[log]
format = "json"
level = "debug"
file = "tidegate.log"
)",
                          {}, {{"PW", {"hunter2", "environment"}}});
  EXPECT_EQ(s.pipeline, "codopia");
  EXPECT_EQ(s.state_dir, "/srv/state");
  EXPECT_EQ(s.source.end.path, "/srv/data/app.db");
  EXPECT_EQ(s.source.writers, Writers::waits);
  EXPECT_EQ(s.source.on_schema_change, OnSchemaChange::pause);
  EXPECT_TRUE(s.source.allow_wal);
  EXPECT_EQ(s.source.postgres.ca_file, "/srv/source.crt");
  EXPECT_EQ(s.source.postgres.pg_bin, "/opt/pg/bin");
  EXPECT_EQ(s.source.postgres.schema_poll.count(), 700);
  EXPECT_EQ(s.source.postgres.spool_limit, 3u << 20);
  EXPECT_EQ(s.source.postgres.wal_room, std::uint64_t{9} << 30);
  EXPECT_TRUE(s.source.postgres.set_identity_full && s.source.postgres.accept_unbounded_wal);
  EXPECT_EQ(s.target.end.host, "db.example.org");
  EXPECT_EQ(s.target.end.port, "5433");
  EXPECT_EQ(s.target.end.password, "hunter2");
  EXPECT_EQ(s.target.ca_file, "/srv/prod-ca.crt");
  EXPECT_EQ(s.target.schema, TargetSchema::existing);
  ASSERT_EQ(s.target.grants.size(), 1u);
  EXPECT_EQ(s.target.grants[0].privileges, (std::vector<std::string>{"SELECT", "INSERT"}));
  EXPECT_EQ(s.apply.max_rows, 5u);
  EXPECT_EQ(s.apply.max_delay.count(), 1000);
  EXPECT_EQ(s.journal.retention, std::chrono::hours(2));
  EXPECT_EQ(s.log.format, LogFormat::json);
  EXPECT_EQ(s.log.file, "/srv/tidegate.log");
  EXPECT_EQ(s.origins.at("target.url"), "tidegate.toml:19:1");
}

TEST(Config, RulesAreReadByTheirNames) {
  const Settings s =
      read(std::string(both_ends) +
           "[[rule]]\ntable = \"user\"\ncolumn = \"last_login\"\non = \"zero_date\"\ndo = \"null\"\n");
  ASSERT_EQ(s.rules.size(), 1u);
  EXPECT_EQ(s.rules[0].on, Misfit::zero_date);
  EXPECT_EQ(s.rules[0].remedy, Remedy::null);
  EXPECT_NE(complaint(std::string(both_ends) +
                      "[[rule]]\ntable = \"u\"\ncolumn = \"c\"\non = \"bad\"\ndo = \"null\"\n")
                .find("tidegate.toml:8:6: rule.on"),
            std::string::npos);
  EXPECT_NE(complaint(std::string(both_ends) + "[[rule]]\ntable = \"u\"\n").find("rule.column is missing"),
            std::string::npos);
}

TEST(Config, ChecksAreRead) {
  const Settings s = read(std::string(both_ends) + "[[check]]\ntable = \"patients\"\nmust = \"age > 0\"\n");
  ASSERT_EQ(s.checks.size(), 1u);
  EXPECT_EQ(s.checks[0].table, "patients");
  EXPECT_EQ(s.checks[0].must, "age > 0");
  EXPECT_NE(complaint(std::string(both_ends) + "[[check]]\ntable = \"u\"\n").find("check.must is missing"),
            std::string::npos);
}

TEST(Config, FlagsBeatTheEnvironmentAndThatBeatsTheFile) {
  Environment environment = {{"TIDEGATE_SOURCE_URL", {"env.db", "environment"}},
                             {"TIDEGATE_TARGET_URL", {"postgresql://env/d", ".env:1"}},
                             {"TIDEGATE_STATE", {"envstate", "environment"}}};
  Settings s = read(both_ends, {}, environment);
  EXPECT_EQ(s.source.end.path, "/srv/env.db");
  EXPECT_EQ(s.origins.at("source.url"), "environment TIDEGATE_SOURCE_URL");
  EXPECT_EQ(s.origins.at("target.url"), "TIDEGATE_TARGET_URL from .env:1");
  EXPECT_EQ(s.state_dir, "/srv/envstate");
  Flags flags;
  flags.source = "flag.db";
  flags.state = "/s";
  flags.tables = {"a", "b"};
  s = read(both_ends, flags, environment);
  EXPECT_EQ(s.source.end.path, "/srv/flag.db");
  EXPECT_EQ(s.origins.at("source.url"), "flag --source");
  EXPECT_EQ(s.state_dir, "/s");
  EXPECT_EQ(s.tables.include, flags.tables);
}

TEST(Config, NoFileIsNeeded) {
  Flags flags;
  flags.source = "/path/app.db";
  flags.target = "postgresql://postgres@localhost:5432/postgres";
  const Settings s = read("", flags);
  EXPECT_EQ(s.pipeline, "app");
  EXPECT_EQ(s.target.end.user, "postgres");
}

TEST(Config, APasswordInTheFileIsFineOnTheCommandLineNot) {
  EXPECT_NO_THROW(read("[source]\nurl = \"a.db\"\n[target]\nurl = \"postgresql://u:pw@h/d\"\n"));
  Flags flags;
  flags.target = "postgresql://u:pw@h/d";
  EXPECT_NE(complaint(both_ends, flags).find("TIDEGATE_TARGET_URL"), std::string::npos);
}

TEST(Config, AnUnknownKeyNamesItsPlaceAndTheNearest) {
  EXPECT_EQ(complaint("[apply]\nmax_row = 3\n"),
            "tidegate.toml:2:1: unknown key 'max_row' in [apply]; did you mean 'max_rows'?");
  EXPECT_EQ(complaint("[sourc]\nurl = \"x\"\n"),
            "tidegate.toml:1:2: unknown key 'sourc'; did you mean 'source'?");
  EXPECT_EQ(complaint("[apply]\nzzzzzz = 3\n"), "tidegate.toml:2:1: unknown key 'zzzzzz' in [apply]");
}

TEST(Config, AWrongTypeNamesItsPlaceAndNeverTheValue) {
  EXPECT_EQ(complaint("[apply]\nmax_rows = \"many\"\n"),
            "tidegate.toml:2:12: apply.max_rows must be a whole number, not a string");
  EXPECT_EQ(complaint("[apply]\nmax_delay = 50\n"),
            "tidegate.toml:2:13: apply.max_delay must be a string, not a whole number");
  EXPECT_NE(complaint("[apply]\nmax_delay = \"50\"\n").find("\"50ms\""), std::string::npos);
  EXPECT_NE(complaint("[apply]\nmax_bytes = \"x\"\n").find("\"16MiB\""), std::string::npos);
  EXPECT_NE(complaint("[apply]\nmax_rows = 0\n").find("at least 1"), std::string::npos);
  EXPECT_NE(complaint("source = 3\n").find("must be a table [source]"), std::string::npos);
  EXPECT_NE(complaint("[source]\nwriters = \"sometimes\"\n").find("\"upgrades\", \"waits\""),
            std::string::npos);
  EXPECT_NE(complaint("[tables]\ninclude = \"*\"\n").find("array of strings"), std::string::npos);
  EXPECT_NE(complaint("[pipeline]\nname = \"A b\"\n").find("tidegate.toml:2:8: pipeline.name"),
            std::string::npos);
}

TEST(Config, ASpoolOfNothingAndSizesThatAreNoneAreRefused) {
  const auto said = [](const std::string& value) {
    return complaint("[source]\nspool_limit = " + value + "\n");
  };
  for (const char* nothing : {"0", "-1", "\"0\"", "\"0GiB\""}) {
    EXPECT_EQ(
        said(nothing),
        "tidegate.toml:2:15: source.spool_limit must be at least 1; 1 leaves all open transactions to the "
        "source's server");
  }
  for (const char* none : {"\"much\"", "\"\"", "\"-1GiB\"", "\"1.5\"", "\"4 gib\"", "\"99999TiB\""}) {
    EXPECT_EQ(said(none), "tidegate.toml:2:15: source.spool_limit is not a size; write it like \"16MiB\"")
        << none;
  }
  EXPECT_EQ(
      said("true"),
      "tidegate.toml:2:15: source.spool_limit must be a size, not true or false; write it like \"16MiB\"");
  EXPECT_NE(said("[1]").find("must be a size, not "), std::string::npos);
  for (const auto& [value, bytes] : {std::pair{"1", 1ull}, {"\"1\"", 1ull}, {"\"1.5KiB\"", 1536ull}}) {
    const Settings s = read("[source]\nurl = \"postgresql://a/b\"\nspool_limit = " + std::string(value) +
                            "\n[target]\nurl = \"postgresql://c/d\"\n");
    EXPECT_EQ(s.source.postgres.spool_limit, bytes);
  }
}

TEST(Config, BrokenTomlNamesItsPlaceAndNotTheText) {
  const std::string said = complaint("[target]\nurl = postgresql://u:hunter2@h/d\n");
  EXPECT_EQ(said.rfind("tidegate.toml:2:", 0), 0u) << said;
  EXPECT_EQ(said.find("hunter"), std::string::npos) << said;
}

TEST(Config, VariablesAreRead) {
  const Environment environment = {{"A", {"x", "environment"}}};
  const auto file = [&](const std::string& url) {
    return "[source]\nurl = \"" + url + "\"\n[target]\nurl = \"postgresql://h/d\"\n";
  };
  EXPECT_EQ(read(file("/d/${A}-${A}.db"), {}, environment).source.end.path, "/d/x-x.db");
  EXPECT_EQ(read(file("/d/$${A}.db"), {}, environment).source.end.path, "/d/${A}.db");
  EXPECT_EQ(
      complaint(file("/d/${B}.db"), {}, environment).rfind("tidegate.toml:2:7: the variable B is not set", 0),
      0u);
  EXPECT_NE(complaint(file("/d/${B.db"), {}, environment).find("not closed"), std::string::npos);
}

TEST(Config, ToFindTheDaemonUnsetVariablesDoNotMatter) {
  const Settings s =
      read("[pipeline]\nname = \"p\"\n[target]\nurl = \"${SUPABASE}\"\n", {}, {}, Purpose::find);
  EXPECT_EQ(s.state_dir, "/srv/.tidegate/p");
  EXPECT_TRUE(read("", {}, {}, Purpose::find).state_dir.empty());
}

TEST(Config, WhatIsMissingIsNamedWithTheWayOut) {
  EXPECT_NE(complaint("").find("--source"), std::string::npos);
  EXPECT_NE(complaint("[source]\nurl = \"a.db\"\n").find("TIDEGATE_TARGET_URL"), std::string::npos);
  EXPECT_NE(complaint("[source]\nurl = \"a.db\"\n[target]\nurl = \"b.db\"\n").find("must be a Postgres URL"),
            std::string::npos);
  EXPECT_NE(complaint("[source]\nurl = \"a.db\"\nhost = \"h\"\n").find("together with host"),
            std::string::npos);
  EXPECT_NE(complaint("[source]\nurl = \"sqlite:///srv/a.db\"\n")
                .find("tidegate.toml:2:7: sqlite:///srv/a.db may mean"),
            std::string::npos);
}

TEST(Config, RealtimeNamesTablesWithTheirSchema) {
  const std::string target = "[source]\nurl = \"a.db\"\n[target]\nurl = \"postgresql://h/d\"\n";
  EXPECT_EQ(read(target + "realtime = [\"project\", \"app.note\"]\n").target.realtime,
            (std::vector<std::string>{"public.project", "app.note"}));
  EXPECT_NE(complaint(target + "realtime = [\"app.\"]\n").find("tidegate.toml:5:1"), std::string::npos);
  EXPECT_NE(
      complaint(target + "post_sql = [\"no-such.sql\"]\n").find("names no-such.sql, which is not there"),
      std::string::npos);
}

TEST(Config, TemporaryPasswordsWantASecretThatIsNeverShown) {
  const std::string text =
      std::string(both_ends) +
      "[[map]]\nfrom = \"user\"\n[[map.to]]\ntable = \"auth.users\"\ncolumns = { id = \"id\", "
      "encrypted_password = \"temporary_password(id)\" }\n";
  EXPECT_NE(complaint(text).find("there is no secret"), std::string::npos);
  const Settings s = read(text, {}, {{"TIDEGATE_CREDENTIALS_SECRET", {"0123456789abcdef", "environment"}}});
  EXPECT_EQ(s.credentials_secret, "0123456789abcdef");
  for (const auto& line : show(s))
    EXPECT_EQ((line.value + line.origin).find("0123456789abcdef"), std::string::npos);
}

TEST(Config, AMapIsReadWithItsPlaces) {
  const Settings s = read(
      std::string("[[map]]\nfrom = \"user\"\nwhere = \"id > 3\"\n[[map.to]]\ntable = \"auth.users\"\nkey = "
                  "[\"uid\"]\n"
                  "role = \"contributor\"\ncolumns = { uid = \"uuid('user', id)\", mail = \"email\" "
                  "}\n[[map.to]]\ntable "
                  "= "
                  "\"people\"\nrows = \"kind = 1\"\nborn = \"kind = 2\"\ntypes = { id = \"uuid\" }\ncolumns "
                  "= { id = \"id\" }\n") +
      both_ends);
  ASSERT_EQ(s.maps.size(), 1u);
  const MapDefinition& map = s.maps[0];
  EXPECT_EQ(map.from, "user");
  EXPECT_EQ(map.condition->where, "tidegate.toml:3:9");
  ASSERT_EQ(map.to.size(), 2u);
  EXPECT_EQ(map.to[0].schema, "auth");
  EXPECT_EQ(map.to[0].columns[1].target, "mail");
  EXPECT_EQ(map.to[0].columns[0].expression.where, "tidegate.toml:8:19");
  EXPECT_TRUE(map.to[0].contributor);
  EXPECT_EQ(map.to[1].schema, "public");
  EXPECT_EQ(map.to[1].key, std::vector<std::string>{"id"});
  EXPECT_EQ(map.to[1].rows->text, "kind = 1");
  EXPECT_EQ(map.to[1].born->text, "kind = 2");
  EXPECT_EQ(map.to[1].types[0].type.text, "uuid");
}

TEST(Config, WhatAMapSaysOfTheWayBackIsReadAndRefusedWithItsPlace) {
  const std::string map =
      "[[map]]\nfrom = \"user\"\n[[map.to]]\ntable = \"people\"\ncolumns = { id = \"id\", mail = "
      "\"lower(email)\" }\n[map.reverse]\n";
  const Settings s = read(map + "email = \"people.mail\"\n" + both_ends);
  ASSERT_EQ(s.maps.at(0).reverse.size(), 1u);
  EXPECT_EQ(s.maps[0].reverse[0].target, "email");
  EXPECT_EQ(s.maps[0].reverse[0].expression.where, "tidegate.toml:7:9");
  const auto lines = show(s);
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [](const Shown& line) {
    return line.name == "map.reverse" && line.value == "email = \"people.mail\"";
  }));
  for (const char* bad : {"email", "upper(", "random()", "users.mail"}) {
    try {
      read(map + "email = \"" + bad + "\"\n" + both_ends);
      ADD_FAILURE() << bad;
    } catch (const Refused& refused) {
      EXPECT_NE(std::string(refused.what()).find("tidegate.toml:7:"), std::string::npos) << refused.what();
    }
  }
}

TEST(Config, AMapThatLacksSomethingIsRefused) {
  const std::string begin = "[[map]]\nfrom = \"user\"\n";
  EXPECT_NE(complaint(begin).find("map.to is missing"), std::string::npos);
  EXPECT_NE(complaint(begin + "[[map.to]]\ncolumns = { a = \"b\" }\n").find("map.to.table is missing"),
            std::string::npos);
  EXPECT_NE(complaint(begin + "[[map.to]]\ntable = \"t\"\n").find("map.to.columns is missing"),
            std::string::npos);
  EXPECT_NE(complaint(begin + "[[map.to]]\ntable = \"t\"\ncolumns = { a = 1 }\n")
                .find("tidegate.toml:5:17: map.to.columns.a must be a string"),
            std::string::npos);
  EXPECT_NE(complaint("[[map]]\nto = []\n").find("map.from is missing"), std::string::npos);
}

TEST(Config, ShowMasksSecretsAndNamesOrigins) {
  const Settings s = read("[source]\nurl = \"a.db\"\n[target]\nurl = \"postgresql://u:hunter2@h/d\"\n");
  const auto lines = show(s);
  for (const auto& line : lines) EXPECT_EQ(line.value.find("hunter2"), std::string::npos);
  const auto line = [&](const std::string& name) {
    return *std::find_if(lines.begin(), lines.end(), [&](const Shown& l) { return l.name == name; });
  };
  EXPECT_EQ(line("target.url").value, "\"postgresql://u:***@h/d\"");
  EXPECT_EQ(line("target.url").origin, "tidegate.toml:4:1");
  EXPECT_EQ(line("apply.max_bytes").value, "\"16MiB\"");
  EXPECT_EQ(line("apply.max_bytes").origin, "default");
}

TEST(Config, TablesAreChosenByPattern) {
  const TableChoice choice{{"user*", "Project"}, {"user_tmp?"}};
  EXPECT_TRUE(chosen(choice, "USERS"));
  EXPECT_TRUE(chosen(choice, "project"));
  EXPECT_TRUE(chosen(choice, "user_tmp"));
  EXPECT_FALSE(chosen(choice, "user_tmp1"));
  EXPECT_FALSE(chosen(choice, "projects"));
}

TEST(EnvFile, IsReadAsShellsWriteIt) {
  const Environment e = parse_env_file(
      "# a comment\nexport A=1\nB = two words # comment\nC='a # $x'\r\nD=\"line\\n\\\"q\\\"\" # "
      "c\n\nE=a#b\nF=\n",
      ".env");
  EXPECT_EQ(e.at("A").value, "1");
  EXPECT_EQ(e.at("B").value, "two words");
  EXPECT_EQ(e.at("C").value, "a # $x");
  EXPECT_EQ(e.at("D").value, "line\n\"q\"");
  EXPECT_EQ(e.at("E").value, "a#b");
  EXPECT_EQ(e.at("F").value, "");
  EXPECT_EQ(e.at("D").origin, ".env:5");
}

TEST(EnvFile, ComplaintsNameTheLineAndNotTheText) {
  for (const char* text : {"hunter2", "hunter 2=x", "A='hunter2", "A=\"hunter2", "A='x' hunter2"}) {
    try {
      parse_env_file(text, ".env");
      FAIL() << text;
    } catch (const Usage& failure) {
      EXPECT_EQ(std::string(failure.what()).rfind(".env:1: ", 0), 0u);
      EXPECT_EQ(std::string(failure.what()).find("hunter"), std::string::npos);
    }
  }
}

TEST(Load, ReadsFilesAndPrefersTheProcessEnvironment) {
  const auto folder = std::filesystem::temp_directory_path() / ("tidegate-load-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder / "conf");
  std::ofstream(folder / "conf/t.toml")
      << "[source]\nurl = \"${DB}\"\n[target]\nurl = \"postgresql://h/d\"\nca_file = \"ca.crt\"\n";
  std::ofstream(folder / "e") << "DB=from-file.db\nTIDEGATE_CONFIG=conf/t.toml\n";
  Flags flags;
  flags.env_file = "e";
  Settings s = load(flags, {}, folder, Purpose::run);
  EXPECT_EQ(s.source.end.path, (folder / "conf/from-file.db").string());
  EXPECT_EQ(s.target.ca_file, (folder / "conf/ca.crt").string());
  EXPECT_EQ(s.state_dir, folder / ".tidegate/from-file");
  s = load(flags, {{"DB", {"/set.db", "environment"}}}, folder, Purpose::run);
  EXPECT_EQ(s.source.end.path, "/set.db");
  flags.config = "missing.toml";
  EXPECT_THROW(load(flags, {}, folder, Purpose::run), Usage);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tidegate
