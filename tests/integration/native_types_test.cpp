#include <gmock/gmock.h>

#include "native_rig.hpp"

namespace tidegate {
namespace {

using testing::IsEmpty;
using testing_support::absent_value;
using testing_support::text;

struct Type {
  const char* name;
  std::vector<const char*> values;  // literals that the type's input takes
};

void PrintTo(const Type& type, std::ostream* out) {
  *out << type.name;
}

// The extremes of each, and what print as something else than they are.
const std::vector<Type> types = {
    {"smallint", {"-32768", "32767", "0"}},
    {"integer", {"-2147483648", "2147483647", "0"}},
    {"bigint", {"-9223372036854775808", "9223372036854775807", "0"}},
    {"numeric", {"NaN", "Infinity", "-Infinity", "1.0", "1.00", "1e1000", "1e-1000", "-0.0"}},
    {"numeric(6,2)", {"NaN", "9999.99", "-9999.99", "0.00"}},
    {"real", {"NaN", "Infinity", "-Infinity", "-0", "1.1754944e-38", "3.4028235e38", "0.1"}},
    {"double precision", {"NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308", "0.1"}},
    {"money", {"-92233720368547758.08", "92233720368547758.07", "0"}},
    {"text", {"", " ", "NULL", "null", "{", "\\", "\"", ",", "a\tb\nc\r", "é€😀", "\\N", "'"}},
    {"character varying", {"", "NULL", "a b ", "\\\\"}},
    {"character varying(3)", {"", "abc", "é€😀", "a  "}},
    {"character(5)", {"", "a", "abcde", "  b"}},
    {"character", {"", "a"}},
    {"\"char\"", {"", "a", "\\377"}},
    {"name", {"", "pg \" Class"}},
    {"bytea", {"", "\\x00ff5c", "\\x27"}},
    {"boolean", {"t", "f"}},
    {"date", {"infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "0001-12-31 BC"}},
    {"time", {"00:00", "24:00", "23:59:59.999999"}},
    {"time(3)", {"00:00:00.123"}},
    {"time with time zone", {"00:00+15:59", "24:00-15:59", "12:34:56.789+05:30:15"}},
    {"timestamp", {"infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"}},
    {"timestamptz",
     {"infinity", "-infinity", "4713-01-02 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00"}},
    {"interval", {"178000000 years", "-178000000 years", "1 mon -1 day +00:00:01", "00:00:00.000001"}},
    {"uuid", {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
    {"json", {"null", "{\"b\":1,  \"a\":[1,\"\\\\\"]}", "\"\"", "{\"a\":1,\"a\":2}"}},
    {"jsonb", {"null", "{\"b\": 1, \"a\": [1, \"\\\\\"]}", "\"\"", "1e300"}},
    {"jsonpath", {"$.a[*] ? (@ > 1)", "lax $"}},
    {"xml", {"", "<a>&lt;</a>", "text"}},
    {"bit(3)", {"101", "000"}},
    {"bit", {"1"}},
    {"bit varying", {"", "1", "10101010101"}},
    {"bit varying(5)", {"", "10101"}},
    {"inet", {"0.0.0.0/0", "::1", "192.168.1.5/24", "2001:db8::/32"}},
    {"cidr", {"0.0.0.0/0", "192.168.1.0/24"}},
    {"macaddr", {"08:00:2b:01:02:03"}},
    {"macaddr8", {"08:00:2b:01:02:03:04:05"}},
    {"point", {"(1,2)", "(NaN,Infinity)"}},
    {"line", {"{1,2,3}"}},
    {"lseg", {"[(1,2),(3,4)]"}},
    {"box", {"(3,4),(1,2)"}},
    {"path", {"((1,2),(3,4))", "[(1,2)]"}},
    {"polygon", {"((1,2),(3,4))"}},
    {"circle", {"<(1,2),3>"}},
    {"tsvector", {"", "'a':1A 'b c':2 'it''s'"}},
    {"tsquery", {"", "'a' & !'b' <-> 'c':*"}},
    {"oid", {"0", "4294967295"}},
    {"xid", {"0", "4294967295"}},
    {"xid8", {"18446744073709551615"}},
    {"tid", {"(0,1)"}},
    {"pg_lsn", {"0/0", "FFFFFFFF/FFFFFFFF"}},
    {"txid_snapshot", {"10:20:10,14,15"}},
    {"regclass", {"pg_class", "-"}},
    {"regtype", {"integer"}},
    {"regproc", {"pg_catalog.now"}},
    {"int2vector", {"1 2 3", ""}},
    {"oidvector", {"1 2 3", ""}},
    {"int4range", {"empty", "(,)", "[1,5)"}},
    {"int8range", {"empty", "[-9223372036854775808,)"}},
    {"numrange", {"[1.0,2.00]", "(,)"}},
    {"tsrange", {"[2020-01-01 00:00:00,infinity]", "empty"}},
    {"tstzrange", {"[2020-01-01 00:00:00+00,)", "empty"}},
    {"daterange", {"[2020-01-01,2020-02-01)", "empty"}},
    {"int4multirange", {"{}", "{[1,3),[5,7)}"}},
    {"nummultirange", {"{[1.0,2.00]}"}},
    {"tstzmultirange", {"{[2020-01-01 00:00:00+00,2021-01-01 00:00:00+00)}"}},
    {"mood", {"sad", "so \"so\", {maybe}", ""}},
    {"pair", {"(1,\"a \"\"b\"\", \\\\\")", "(,)", "(,\"\")"}},
    {"short_text", {"", "abc"}},
    {"cents", {"1.25", "-0.01"}},
    {"numbers", {"{}", "{1,NULL}", "[5:6]={1,2}"}},
    {"boxed", {"(3,4),(1,2)"}},
    {"positive_pair", {"(1,x)"}},
    {"fixed", {"a  ", "abc"}},
    {"textrange", {"[a,\"b,c\")", "empty"}},
    {"citext", {"Ab", "aB", ""}},
    {"hstore", {"", "\"a\"=>NULL, \"b c\"=>\"\\\"x\\\"\""}},
};

constexpr const char* own_types = R"sql(
CREATE TYPE mood AS ENUM ('sad', 'so "so", {maybe}', '');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN short_text AS varchar(3);
CREATE DOMAIN cents AS numeric(6,2) CHECK (VALUE < 100);
CREATE DOMAIN numbers AS integer[];
CREATE DOMAIN boxed AS box;
CREATE DOMAIN positive_pair AS pair CHECK ((VALUE).a > 0);
CREATE DOMAIN fixed AS character(3);
CREATE TYPE textrange AS RANGE (subtype = text, multirange_type_name = textmultirange))sql";

// Whether a type's values can stand in a key, in citext's and numeric's own sense of equality.
class NativeTypes : public testing_support::NativeSinkTest, public testing::WithParamInterface<Type> {
 protected:
  void SetUp() override {
    NativeSinkTest::SetUp();
    if (IsSkipped()) return;
    other_->run("CREATE EXTENSION IF NOT EXISTS citext SCHEMA extensions");
    other_->run("CREATE EXTENSION IF NOT EXISTS hstore SCHEMA extensions");
    schema_ = tidegate::quoted(name_);
    other_->run("SET search_path = " + schema_ + ", extensions");
    other_->run(own_types);
  }
  // As the source's server prints it: nothing but system types on the search path.
  Value printed(const std::string& sql) {
    other_->run("SET search_path = ''");
    auto result = other_->run(sql);
    Value value = result.is_null(0, 0) ? Value(Null{}) : Value(std::string(result.text(0, 0)));
    other_->run("SET search_path = " + schema_ + ", extensions");
    return value;
  }
  std::string all(const std::string& table) {
    auto lines =
        rows("SELECT format('%s', x) FROM (SELECT s.*, v IS NULL FROM " + table + " AS s) AS x ORDER BY 1");
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    return text;
  }
  std::string schema_;
};

TEST_P(NativeTypes, InsertUpdateDelete) {
  const Type& type = GetParam();
  std::string columns = "v " + std::string(type.name) + ", a " + type.name + "[]";
  other_->run("CREATE TABLE source(id integer PRIMARY KEY, " + columns + ")");
  table("t", "id integer PRIMARY KEY, " + columns);
  table("keyless", columns, {});
  // one row per value, one per kind of array, one of NULLs
  int id = 0;
  auto fill = [&](const std::string& v, const std::string& a) {
    other_->run("INSERT INTO source VALUES (" + std::to_string(++id) + ", " + v + ", " + a + ")");
  };
  for (const char* value : type.values) {
    std::string v = postgres::literal(value) + "::" + type.name;
    if (std::string(type.name) == "numbers") {  // ARRAY[…] of it would be an array of more dimensions
      fill(v, "ARRAY['{}', " + v + "::text]::numbers[]");
      continue;
    }
    fill(v, "ARRAY[NULL, " + v + "]");
    fill("NULL", "ARRAY[ARRAY[" + v + "], ARRAY[" + v + "]]");
    fill(v, "array_fill(" + v + ", ARRAY[2], ARRAY[-3])");
  }
  fill("NULL", "NULL");
  fill("NULL", "'{}'");
  auto value = [&](int row, const char* column) {
    return printed("SELECT " + std::string(column) + " FROM " + schema_ +
                   ".source WHERE id = " + std::to_string(row));
  };
  std::vector<Row> all_rows;
  for (int i = 1; i <= id; ++i) all_rows.push_back({text(std::to_string(i)), value(i, "v"), value(i, "a")});
  for (const Row& row : all_rows) add({insert("t", row), insert("keyless", {row[1], row[2]})});
  commit();
  EXPECT_EQ(all("t"), all("source"));
  EXPECT_EQ(all("keyless"), all("(SELECT v, a FROM source)"));
  // each row gets the values of the next: v by an update that lacks a, then a by one that lacks v
  for (std::size_t i = 0; i < all_rows.size(); ++i) {
    const Row &row = all_rows[i], &next = all_rows[(i + 1) % all_rows.size()];
    add({update("t", {row[0], next[1], absent_value}),
         update("keyless", {next[1], next[2]}, {row[1], row[2]})});
  }
  commit();
  for (std::size_t i = 0; i < all_rows.size(); ++i) {
    add({update("t", {all_rows[i][0], absent_value, all_rows[(i + 1) % all_rows.size()][2]})});
  }
  commit();
  std::string count = std::to_string(id);
  other_->run("CREATE TABLE moved AS SELECT (id + " + count + " - 2) % " + count +
              " + 1 AS id, v, a FROM source");
  EXPECT_EQ(all("t"), all("moved"));
  EXPECT_EQ(all("keyless"), all("(SELECT v, a FROM source)"));
  for (const Row& row : all_rows) {
    write({remove("keyless", {row[1], row[2]}), remove("t", {row[0], Null{}, Null{}})});
  }
  EXPECT_THAT(rows("SELECT FROM t UNION ALL SELECT FROM keyless"), IsEmpty());
  EXPECT_THAT(held(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, NativeTypes, testing::ValuesIn(types), [](const auto& info) {
  std::string name;
  for (const char* c = info.param.name; *c; ++c) name += std::isalnum(*c) ? *c : '_';
  return name;
});

class NativeKeys : public NativeTypes {};

// As a key: found, changed, and deleted.
TEST_P(NativeKeys, FindTheirRow) {
  const Type& type = GetParam();
  table("t", "id " + std::string(type.name) + " PRIMARY KEY, v text, big text");
  std::vector<Value> keys;
  for (const char* key : type.values)
    keys.push_back(printed("SELECT " + postgres::literal(key) +
                           "::" + (std::string(type.name) == "citext" ? "extensions.citext" : type.name)));
  for (const auto& key : keys) add({insert("t", {key, text("a"), text("b")})});
  commit();
  for (const auto& key : keys) add({update("t", {key, text("A"), absent_value})});
  commit();
  EXPECT_THAT(rows("SELECT FROM t WHERE v = 'A' AND big = 'b'").size(), keys.size());
  for (const auto& key : keys) {
    write({update("t", {text("7"), text("A"), absent_value}, {key, Null{}, Null{}}),
           update("t", {key, text("AA"), text("B")}, {text("7"), Null{}, Null{}})});
  }
  EXPECT_THAT(rows("SELECT FROM t WHERE v = 'AA' AND big = 'B'").size(), keys.size());
  for (const auto& key : keys) add({remove("t", {key, Null{}, Null{}})});
  commit();
  EXPECT_THAT(rows("SELECT FROM t"), IsEmpty());
  EXPECT_THAT(held(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, NativeKeys,
                         testing::Values(Type{"integer", {"1", "-5"}}, Type{"numeric", {"1.0", "NaN"}},
                                         Type{"text", {"", "{\"", "a"}}, Type{"character(4)", {"a", "b  "}},
                                         Type{"citext", {"Ab", "c"}},
                                         Type{"double precision", {"-0", "NaN"}}),
                         [](const auto& info) {
                           std::string name;
                           for (const char* c = info.param.name; *c; ++c) name += std::isalnum(*c) ? *c : '_';
                           return name;
                         });

}  // namespace
}  // namespace tidegate
