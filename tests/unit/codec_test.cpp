// The journal's bytes: what goes in comes out, and what is no event is refused in words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <set>
#include <stdexcept>

#include "proto/change.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

using testing_support::Seeded;
using namespace std::string_literals;

double from_bits(std::uint64_t bits) {
  return std::bit_cast<double>(bits);
}

Row every_kind_of_value() {
  return {Null{},
          std::int64_t{0},
          std::numeric_limits<std::int64_t>::min(),
          std::numeric_limits<std::int64_t>::max(),
          0.0,
          -0.0,
          5e-324,
          std::numeric_limits<double>::infinity(),
          -std::numeric_limits<double>::infinity(),
          from_bits(0x7ff8'0000'dead'beef),
          from_bits(0xfff0'0000'0000'0001),
          ""s,
          "a\0b"s,
          "\xff\xfe\xc0\x80"s,
          "Grüße"s,
          Blob{},
          Blob{"\0\xff"s},
          Blob{std::string(3 << 20, '\xfe')},
          std::string(3 << 20, 'x')};
}

// identical() takes all NaNs as one; the journal keeps their bits.
void expect_same_bits(const Row& a, const Row& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto *x = std::get_if<double>(&a[i]), *y = std::get_if<double>(&b[i]);
    ASSERT_EQ(a[i].index(), b[i].index()) << i;
    if (x && y) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(*x), std::bit_cast<std::uint64_t>(*y)) << i;
    } else {
      EXPECT_TRUE(a[i] == b[i]) << i;
    }
  }
}

SourceTable full_table() {
  SourceTable table;
  table.name = "Käse \"n\"";
  table.columns = {
      {"id", "INTEGER", true, {}, "BINARY", {}, false},
      {"name", "VARCHAR(80)", true, "'x''y'", "NOCASE", {}, false},
      {"empty default", "", false, "", "RTRIM", {}, false},
      {"both", "INT", false, {}, "BINARY", "id * 2", true},
      {"virtual", "INT", false, {}, "my_own", "", false},
  };
  table.primary_key = {"id", "name"};
  table.identity = Identity::rowid;
  table.integer_key = true;
  table.autoincrement = true;
  table.without_rowid = true;
  table.last_sequence = -5;
  table.indexes = {{"ix",
                    true,
                    true,
                    true,
                    {{"name", "NOCASE", true}, {{}, "BINARY", false}},
                    "CREATE INDEX ix ON t (name)"},
                   {"empty", false, false, false, {}, ""}};
  table.foreign_keys = {{{"a", "b"}, "parent", {"x", "y"}, "CASCADE", "SET NULL"}, {{}, "", {}, "", ""}};
  table.checks = {{"named", "id > 0"}, {"", "1"}};
  table.create_sql = "CREATE TABLE …";
  return table;
}

TransactionPart full_part() {
  TransactionPart part;
  part.transaction = std::numeric_limits<std::uint64_t>::max();
  part.first = false;
  part.last = false;
  part.commit_time_us = -1;
  part.schema_change =
      SchemaChange{{full_table(), SourceTable{}}, {{"public.orders", "its rows were written anew"}}};
  part.relations = {{7, "t", {"a", "b", "c"}, {2, 0}}, {4294967295, "", {"_rid"}, {0}}};
  part.changes = {
      {Operation::insert, 7, {std::int64_t{1}, "x"s, Null{}}, {}, {}},
      {Operation::update, 7, {std::int64_t{1}, "y"s, Blob{"z"}}, {1, 2}, {"x"s, Null{}}},
      {Operation::remove, 4294967295, {std::int64_t{-9}}, {}, {}},
      {Operation::update, 7, {"1"s, Null{}, "z"s}, {}, {}, {1}, {"0"s, Null{}, Null{}}},
      {Operation::truncate, 7, {}, {}, {}, {}, {}, true},
  };
  part.stamp = SourceStamp{0x16B3748, std::numeric_limits<std::uint64_t>::max(), 4294967295, "elsewhere"};
  return part;
}

TEST(Codec, RowsKeepEveryBit) {
  Row row = every_kind_of_value();
  expect_same_bits(decode_row(encode(row)), row);
  EXPECT_TRUE(decode_row(encode(Row{})).empty());
}

TEST(Codec, PartsKeepEveryField) {
  EXPECT_EQ(decode_part(encode(full_part())), full_part());
  EXPECT_EQ(decode_part(encode(TransactionPart{})), TransactionPart{});
}

TEST(Codec, AnEmptySchemaChangeIsNotNone) {
  TransactionPart part;
  part.schema_change.emplace();
  EXPECT_EQ(decode_part(encode(part)), part);
}

TEST(Codec, ValuesInsideChangesKeepEveryBit) {
  TransactionPart part;
  Row row = every_kind_of_value();
  Relation relation{1, "t", {}, {1}};
  std::vector<std::uint32_t> places;
  for (std::uint32_t i = 0; i < row.size(); ++i) {
    relation.columns.push_back("c" + std::to_string(i));
    places.push_back(i);
  }
  part.relations = {relation};
  part.changes = {{Operation::update, 1, row, places, row}};
  auto back = decode_part(encode(part));
  expect_same_bits(back.changes.at(0).row, row);
  expect_same_bits(back.changes.at(0).old, row);
  EXPECT_EQ(back.changes.at(0).changed, places);
}

TEST(Codec, TablesKeepEveryField) {
  EXPECT_EQ(decode_table(encode(full_table())), full_table());
  EXPECT_EQ(decode_table(encode(SourceTable{})), SourceTable{});
}

// An application that writes Latin-1 may have it in its definitions too.
TEST(Codec, NamesAndSqlNeedNotBeUtf8) {
  SourceTable table = full_table();
  table.name = "k\xe4se";
  table.columns[1].default_sql = "'\xe4'";
  table.columns[1].name =
      "gr\xf6\xdf"
      "e";
  table.checks[0].sql = "a <> '\xff'";
  table.create_sql = "CREATE TABLE k\xe4se (…)";
  EXPECT_EQ(decode_table(encode(table)), table);
  TransactionPart part = full_part();
  part.relations[0].table = table.name;
  part.relations[0].columns[1] = table.columns[1].name;
  EXPECT_EQ(decode_part(encode(part)), part);
}

void expect_refused(const TransactionPart& part) {
  EXPECT_THROW(decode_part(encode(part)), std::invalid_argument);
}

TEST(Codec, ChangesMustFitTheirRelation) {
  TransactionPart unknown = full_part(), narrow = full_part(), beyond = full_part(), uneven = full_part();
  unknown.changes[0].relation = 8;
  narrow.changes[0].row.pop_back();
  beyond.changes[1].changed[1] = 3;
  uneven.changes[1].old.pop_back();
  TransactionPart no_place = full_part(), no_width = full_part(), full_truncate = full_part();
  no_place.changes[3].absent[0] = 3;
  no_width.changes[3].before.pop_back();
  full_truncate.changes[4].row = {Null{}, Null{}, Null{}};
  for (const auto& part : {unknown, narrow, beyond, uneven, no_place, no_width, full_truncate})
    expect_refused(part);
  TransactionPart bad_key = full_part();
  bad_key.relations[0].key = {3};
  expect_refused(bad_key);
}

TEST(Codec, RefusesWhatIsNoEventAndNamesNoValue) {
  try {
    decode_part("secret: not protobuf");
    FAIL() << "decoded";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("TransactionPart"));
    EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("secret")));
  }
}

// Decodes, or throws invalid_argument: anything else ends the test.
template <typename Decode>
bool survives(Decode decode, const std::string& bytes) {
  try {
    decode(bytes);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

TEST(Codec, NoBytesMakeItCrash) {
  Seeded random;
  SCOPED_TRACE(random.told());
  const std::string part = encode(full_part()), table = encode(full_table());
  const std::string row = encode(Row{Null{}, std::int64_t{-1}, -0.0, "t"s, Blob{"b"}});
  auto decode_each = [&](const std::string& bytes) {
    return survives(decode_part, bytes) + survives(decode_row, bytes) + survives(decode_table, bytes);
  };
  for (const auto& whole : {part, table, row}) {
    for (std::size_t size = 0; size < whole.size(); ++size) decode_each(whole.substr(0, size));
  }
  int decoded = 0, refused = 0;
  for (int i = Seeded::rounds(20000); i > 0; --i) {
    int good = decode_each(random.mutated(i % 3 == 0 ? part : i % 3 == 1 ? table : row));
    decoded += good;
    refused += 3 - good;
  }
  EXPECT_GT(decoded, 100);  // both ways are really taken
  EXPECT_GT(refused, 100);
}

TEST(Codec, KeysAreShownAsJson) {
  EXPECT_EQ(key_as_json({std::int64_t{1}, 1.5, "a\"\\\n"s, Null{}}), R"([1,1.5,"a\"\\\u000a",null])");
  EXPECT_EQ(key_as_json({Blob{"\x01\xff"}, "\xff"s}), R"(["\\x01ff","text:\\xff"])");
  EXPECT_EQ(key_as_json({}), "[]");
}

// Two keys of one table never look alike: the quarantine finds its entries by this text.
TEST(Codec, KeysShownAsJsonStayApart) {
  const std::vector<Row> keys = {{Blob{"a"}},       {"\\x61"s}, {"a"s},        {"1"s},
                                 {std::int64_t{1}}, {"\xff"s},  {Blob{"\xff"}}};
  std::set<std::string> shown;
  for (const Row& key : keys) shown.insert(key_as_json(key));
  EXPECT_EQ(shown.size(), keys.size());
}

TEST(Codec, InfiniteKeysAreJsonToo) {
  EXPECT_EQ(key_as_json({std::numeric_limits<double>::infinity()}), R"(["Infinity"])");
  EXPECT_EQ(key_as_json({-std::numeric_limits<double>::infinity()}), R"(["-Infinity"])");
}

}  // namespace
}  // namespace tidegate
