#include "replicator/config/url.hpp"

#include <gtest/gtest.h>

#include "replicator/failure.hpp"

namespace tidegate {
namespace {

using Kind = Endpoint::Kind;

std::string complaint(const std::function<void()>& act) {
  try {
    act();
  } catch (const std::exception& failure) {
    return failure.what();
  }
  return "";
}
std::string complaint_of(std::string_view url) {
  return complaint([&] { parse_endpoint(url); });
}

TEST(Url, PlainPathsAreSqlite) {
  for (const char* path : {"app.db", "/srv/app/app.db", "./a b/x.sqlite", "weird:name.db", "what?.db"}) {
    EXPECT_EQ(parse_endpoint(path).kind, Kind::sqlite);
    EXPECT_EQ(parse_endpoint(path).path, path);
  }
}

TEST(Url, SqliteUrlsAreReadAsSqlalchemyReadsThem) {
  EXPECT_EQ(parse_endpoint("sqlite:////srv/app.db").path, "/srv/app.db");
  EXPECT_EQ(parse_endpoint("sqlite+pysqlite:////srv/a%20b.db").path, "/srv/a b.db");
  EXPECT_EQ(parse_endpoint("sqlite:///app.db").path, "app.db");
  EXPECT_EQ(parse_endpoint("sqlite:///./instance/app.db").path, "./instance/app.db");
}

TEST(Url, ThreeSlashesBeforeAFolderAreAmbiguous) {
  const std::string said = complaint_of("sqlite:///srv/app/app.db");
  EXPECT_NE(said.find("sqlite:////srv/app/app.db"), std::string::npos) << said;
  EXPECT_NE(said.find("./srv/app/app.db"), std::string::npos) << said;
  EXPECT_NE(complaint_of("sqlite:app.db"), "");
  EXPECT_NE(complaint_of("sqlite://app.db"), "");
  EXPECT_NE(complaint_of("sqlite:///:memory:"), "");
  EXPECT_NE(complaint_of(":memory:"), "");
  EXPECT_NE(complaint_of("sqlite:////x.db?timeout=3"), "");
}

TEST(Url, PostgresUrlsInAllSpellings) {
  for (const char* scheme : {"postgresql", "postgres", "postgresql+psycopg2", "postgresql+asyncpg"}) {
    const Endpoint end =
        parse_endpoint(std::string(scheme) + "://anna:s%40cret@db.example.org:5433/app?sslmode=require");
    EXPECT_EQ(end.kind, Kind::postgres);
    EXPECT_EQ(end.host, "db.example.org");
    EXPECT_EQ(end.port, "5433");
    EXPECT_EQ(end.user, "anna");
    EXPECT_EQ(end.password, "s@cret");
    EXPECT_EQ(end.dbname, "app");
    EXPECT_EQ(end.parameters, (std::vector<std::pair<std::string, std::string>>{{"sslmode", "require"}}));
  }
}

TEST(Url, PostgresUrlsWithParts) {
  EXPECT_EQ(parse_endpoint("postgresql:///app?host=/run/pg").host, "/run/pg");
  EXPECT_EQ(parse_endpoint("postgresql://[::1]:5432/app").host, "::1");
  EXPECT_EQ(parse_endpoint("postgresql://[::1]:5432/app").port, "5432");
  const Endpoint two = parse_endpoint("postgresql://a:1,b:2/app");
  EXPECT_EQ(two.host, "a,b");
  EXPECT_EQ(two.port, "1,2");
  EXPECT_EQ(parse_endpoint("postgresql://a,b/app").port, "");
  EXPECT_EQ(parse_endpoint("postgresql://u:p@ss@host/app").password, "p@ss");
  EXPECT_EQ(parse_endpoint("postgresql://u:p@ss@host/app").host, "host");
  EXPECT_EQ(parse_endpoint("postgresql://u:p/w@host/app").password, "p/w");
}

TEST(Url, ComplaintsNameTheWayOutAndNoPassword) {
  EXPECT_NE(complaint_of("mysql://root:hunter2@host/db").find("mysql"), std::string::npos);
  EXPECT_NE(complaint_of("postgresql://u:hunter2@h/d?sslmod=require").find("'sslmode'"), std::string::npos);
  EXPECT_NE(complaint_of("postgresql://u:hunter2#@h:x/d").find("percent-encoded"), std::string::npos);
  EXPECT_NE(complaint_of("host=h password=hunter2").find("postgresql://"), std::string::npos);
  EXPECT_NE(complaint_of("postgresql://postgres:[YOUR-PASSWORD]@db.x.supabase.co:5432/postgres")
                .find("placeholder"),
            std::string::npos);
  for (const char* url :
       {"mysql://root:hunter2@host/db", "postgresql://u:hunter2@h/d?sslmod=require",
        "postgresql://u:hunter2#@h:x/d", "host=h password=hunter2", "postgresql://u:hunter2%zz@h/d",
        "postgresql://u:x?hunter2@h/d", "postgresql://u:hunter2@h:99999/d"})
    EXPECT_EQ(complaint_of(url).find("hunter2"), std::string::npos) << complaint_of(url);
}

TEST(Url, PasswordsOnTheCommandLineAreRefusedAndNotRepeated) {
  EXPECT_NO_THROW(refuse_password("--target", "postgresql://u@h/d", "TIDEGATE_TARGET_URL"));
  EXPECT_NO_THROW(refuse_password("--source", "/srv/app.db", "TIDEGATE_SOURCE_URL"));
  for (const char* url :
       {"postgresql://u:hunter2@h/d", "postgresql://h/d?password=hunter2", "mysql://u:hunter2@h/d",
        "postgresql://u:hunter2@h/d?nonsense=1", "host=h password=hunter2"}) {
    const std::string said = complaint([&] { refuse_password("--target", url, "TIDEGATE_TARGET_URL"); });
    EXPECT_NE(said.find("TIDEGATE_TARGET_URL"), std::string::npos) << url;
    EXPECT_NE(said.find("PGPASSFILE"), std::string::npos) << url;
    EXPECT_EQ(said.find("hunter2"), std::string::npos) << said;
  }
}

TEST(Url, ATransactionPoolerIsRefused) {
  EXPECT_THROW(refuse_transaction_pooler(parse_endpoint("postgresql://h:6543/d")), Refused);
  EXPECT_THROW(refuse_transaction_pooler(parse_endpoint("postgresql://a:5432,b:6543/d")), Refused);
  EXPECT_NO_THROW(refuse_transaction_pooler(parse_endpoint("postgresql://h:16543/d")));
}

TEST(Url, MaskedShowsAllButSecrets) {
  EXPECT_EQ(masked(parse_endpoint("postgres://u:pw@h:5433/d?sslmode=require&sslpassword=pw")),
            "postgresql://u:***@h:5433/d?sslmode=require&sslpassword=***");
  EXPECT_EQ(masked(parse_endpoint("postgresql:///d?host=/run/pg")), "postgresql:///d?host=/run/pg");
  EXPECT_EQ(masked(parse_endpoint("postgresql://[::1]:1/d")), "postgresql://[::1]:1/d");
  EXPECT_EQ(masked_text("cannot use postgresql://u:p@w@h/d, password='a b' here"),
            "cannot use postgresql://u:***@h/d, password=*** here");
}

TEST(Url, SecretsAreMaskedWhereverTheyStand) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"no secret: here", "no secret: here"},
      {"https://host:80/path a", "https://host:80/path a"},
      {"postgresql://u@h/d", "postgresql://u@h/d"},
      {"x://u:hun ter2@h", "x://u:***@h"},
      {"x://:p@h y://u:q@h", "x://:***@h y://u:***@h"},
      {"password=hunter2", "password=***"},
      {"PGPASSWORD = hunter2 x", "PGPASSWORD = *** x"},
      {"a?sslpassword=p&b=1", "a?sslpassword=***&b=1"},
      {"password='open", "password=***"},
      {"the password is wrong", "the password is wrong"},
      {"password=", "password=***"},
  };
  for (const auto& [text, masked] : cases) EXPECT_EQ(masked_text(text), masked);
  EXPECT_EQ(masked_text("x://u:" + std::string(1 << 20, 'p') + "@h"), "x://u:***@h");
}

TEST(Url, ConninfoQuotesAndChoosesTls) {
  const Endpoint remote = parse_endpoint("postgresql://u:it%27s%5C@h/d");
  EXPECT_EQ(conninfo(remote, ""), R"(host='h' user='u' password='it\'s\\' dbname='d' sslmode='verify-full')");
  EXPECT_NE(conninfo(remote, "/ca.crt").find("sslrootcert='/ca.crt' sslmode='verify-full'"),
            std::string::npos);
  EXPECT_EQ(conninfo(parse_endpoint("postgresql://localhost/d"), ""), "host='localhost' dbname='d'");
  EXPECT_EQ(conninfo(parse_endpoint("postgresql://h/d?sslmode=disable"), ""),
            "host='h' dbname='d' sslmode='disable'");
}

TEST(Url, PipelinesAreNamedAfterTheirSource) {
  EXPECT_EQ(default_pipeline_name(parse_endpoint("/srv/My App (v2).sqlite3")), "my-app-v2");
  EXPECT_EQ(default_pipeline_name(parse_endpoint("/srv/chinook.sqlite")), "chinook");
  EXPECT_EQ(default_pipeline_name(parse_endpoint("postgresql://h/Legacy_DB")), "legacy_db");
  EXPECT_EQ(default_pipeline_name(parse_endpoint("/srv/..db")), "pipeline");
}

}  // namespace
}  // namespace tidegate
