// The first fill: in steps that can be read, taken up after a crash, from a source that goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/capture_rig.hpp"

namespace tidegate {
namespace {

using testing_support::CaptureRig;
using testing_support::live_rows;
using testing_support::Replica;

const auto ignore = [](const std::string&, std::uint64_t) {};

// More than two steps of rows, then tables that are filled at once: with a key of text, and without rows.
class Fill : public testing::Test {
 protected:
  CaptureRig rig_{
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE u(k TEXT NOT NULL PRIMARY KEY, a);"
      "CREATE TABLE v(id INTEGER PRIMARY KEY);"
      "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 120000)"
      " INSERT INTO t SELECT i, 'value ' || i FROM n;"
      "INSERT INTO u SELECT 'key ' || id, id FROM t WHERE id % 100 = 0"};

  // As a crash behind so many steps leaves it.
  void fill_steps(int steps) {
    rig_.capture().begin_fill(ignore);
    EXPECT_THROW(rig_.capture().fill([&](const std::string&, std::uint64_t) {
      if (--steps == 0) throw Error("enough", "", Advice::stop);
    }),
                 Error);
    rig_.restart();
    EXPECT_TRUE(rig_.capture().fill_begun());
    EXPECT_FALSE(rig_.capture().filled());
  }
  // The shadow is the live file.
  void expect_whole() {
    EXPECT_TRUE(rig_.capture().filled());
    for (const ShadowTable& table : rig_.capture().tables())
      testing_support::expect_same_rows(shadow_rows(table), live_rows(rig_.app(), table),
                                        table.source().name);
    EXPECT_THAT(rig_.cut(), testing::IsEmpty());
  }
  Replica::Table shadow_rows(const ShadowTable& table) {
    Replica::Table content;
    auto rows = rig_.state().prepare(table.select_shadow(ShadowTable::Rows::all));
    for (Row row; rows.step();) {
      rows.read_row(row, 0, table.width());
      content.emplace(key_of(table.relation(), row), row);
    }
    return content;
  }
};

TEST_F(Fill, ChunksAreReadAsTheyCome) {
  ShadowReader reader(rig_.state_path());
  std::vector<std::size_t> read;  // rows of t, before each step
  Row after;
  Chunk chunk;
  rig_.capture().begin_fill(ignore);
  EXPECT_EQ(reader.count("t"), 120000U) << "as measured";
  EXPECT_FALSE(reader.read_chunk("t", {}, 50000, 16 << 20, chunk));
  EXPECT_FALSE(reader.read_chunk("v", {}, 50000, 16 << 20, chunk))
      << "an empty table is not known to be one yet";
  rig_.capture().fill([&](const std::string& table, std::uint64_t) {
    EXPECT_FALSE(reader.is_whole());
    if (table != "t") return;
    ASSERT_TRUE(reader.read_chunk("t", after, 50000, 16 << 20, chunk));
    read.push_back(chunk.rows.size());
    after = chunk.to;
    if (!after.empty()) {
      EXPECT_FALSE(reader.read_chunk("t", after, 50000, 16 << 20, chunk));
    }
  });
  EXPECT_TRUE(after.empty());
  EXPECT_THAT(read, testing::ElementsAre(50000, 50000, 20000));
  EXPECT_TRUE(reader.is_whole());
  EXPECT_TRUE(reader.read_chunk("v", {}, 1, 1, chunk));
  EXPECT_TRUE(chunk.to.empty() && chunk.rows.empty());
}

TEST_F(Fill, AFillFromOneSnapshotComparesNothing) {
  rig_.fill();
  rig_.app().execute("UPDATE t SET a = 'changed' WHERE id = 7");
  SqliteCapture::Cut cut;
  rig_.cut(&cut);
  EXPECT_EQ(cut.everything_because, "");
  EXPECT_EQ(cut.changes, 1U);
}

TEST_F(Fill, NothingIsKeptOfAFillThatNobodyCouldRead) {
  rig_.capture().begin_fill(ignore);
  rig_.app().execute("DROP TABLE u; CREATE TABLE other(id INTEGER PRIMARY KEY)");
  rig_.restart();
  EXPECT_EQ(rig_.capture().begin_fill(ignore).size(), 3U);
  rig_.capture().fill(ignore);
  EXPECT_EQ(rig_.last(), 0U) << "no events";
  expect_whole();
}

TEST_F(Fill, ASchemaThatChangedMeanwhileComesAsEvents) {
  rig_.capture().begin_fill(ignore);
  rig_.app().execute("ALTER TABLE u ADD COLUMN b DEFAULT 5; CREATE TABLE other(id INTEGER PRIMARY KEY)");
  rig_.capture().fill(ignore);
  Replica replica;
  replica.take(rig_.parts_after(0));
  for (const ShadowTable& table : rig_.capture().tables())
    testing_support::expect_same_rows(replica.table(table.source().name), live_rows(rig_.app(), table), "");
  expect_whole();
}

class FillCrash : public Fill, public testing::WithParamInterface<int> {
 protected:
  // Those that could be read before: t up to that row, u as a whole.
  Replica::Table readable(Replica::Table rows, std::int64_t last) {
    std::erase_if(rows, [&](const auto& row) {
      auto* id = std::get_if<std::int64_t>(&row.first.front());
      return id && *id > last;
    });
    return rows;
  }
};

// What could be read before the crash is led to what the source is now by events; what could not comes with
// the fill.
TEST_P(FillCrash, TheRestIsFilledAndTheDifferencesAreEvents) {
  fill_steps(GetParam());
  const auto last = rig_.state().integer("SELECT max(c0) FROM shadow_1");
  const auto tables = rig_.capture().tables();
  const auto &t = tables.at(0), &u = tables.at(1);
  const bool u_was_filled = !Shadow::rows_to_fill(rig_.state(), u);
  Replica replica;
  replica.table("t") = shadow_rows(t);
  replica.table("u") = shadow_rows(u);
  EXPECT_EQ(last, std::min(GetParam() * 50000, 120000));
  EXPECT_EQ(u_was_filled, GetParam() >= 4);
  rig_.app().execute(
      "UPDATE t SET a = 'changed' WHERE id IN (7, 119999); DELETE FROM t WHERE id IN (9, 60000, 119000);"
      "INSERT INTO t VALUES (-3, 'new'), (9223372036854775807, 'the last one');"
      "UPDATE u SET a = 'changed' WHERE k = 'key 700'; INSERT INTO u VALUES ('a', 1)");
  rig_.capture().fill([&](const std::string&, std::uint64_t) {
    EXPECT_FALSE(ShadowReader(rig_.state_path()).is_whole()) << "it is of two states of the source";
  });
  EXPECT_TRUE(ShadowReader(rig_.state_path()).is_whole());
  auto parts = rig_.parts_after(0);
  for (auto& part : parts) {
    std::erase_if(part.changes, [&](const Change& change) {
      auto* id = std::get_if<std::int64_t>(&change.row.front());
      return id ? *id > last : !u_was_filled;
    });
  }
  replica.take(parts);
  testing_support::expect_same_rows(replica.table("t"), readable(live_rows(rig_.app(), t), last), "t");
  if (u_was_filled) {
    testing_support::expect_same_rows(replica.table("u"), live_rows(rig_.app(), u), "u");
  }
  expect_whole();
}

INSTANTIATE_TEST_SUITE_P(Steps, FillCrash, testing::Values(1, 2, 3, 4, 5));

}  // namespace
}  // namespace tidegate
