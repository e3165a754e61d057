#include "apply/postgres/chunk_loader.hpp"

#include <gmock/gmock.h>

#include "server.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing_support::code_of;
using testing_support::column;
using testing_support::integer;
using testing_support::text;
using namespace std::string_literals;

class Loader : public testing_support::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (IsSkipped()) return;
    session_ = std::make_unique<TargetSession>(target(), "inc");
    quarantine_ = std::make_unique<Quarantine>(*session_);
    plan_ = testing_support::plan("t", {column("id", TargetType::bigint), column("v", TargetType::text),
                                        column("n", TargetType::bigint)});
    plan_.schema = name_;
    other_->run("CREATE TABLE t(id bigint PRIMARY KEY, v text UNIQUE CHECK (v <> 'bad'), n bigint)");
  }
  std::uint64_t load(const std::vector<Row>& rows, const LoadedChunk& chunk) {
    RowMapper mapper(plan_, testing_support::relation_of(plan_));
    auto lines = ChunkLoader::encode_lines(mapper, rows);
    return ChunkLoader(*session_, *quarantine_).load(mapper, lines, chunk);
  }
  std::vector<std::string> held() {
    return rows(
        "SELECT source_key, column_name, reason, sqlstate, target_holds, sequence FROM tidegate.quarantine"
        " WHERE pipeline = '" +
        name_ + "' ORDER BY id");
  }
  static Row row(std::int64_t id, std::string value) {
    return {integer(id), text(std::move(value)), integer(id)};
  }

  TablePlan plan_;
  std::unique_ptr<TargetSession> session_;
  std::unique_ptr<Quarantine> quarantine_;
};

TEST_F(Loader, WhatOnlyTheCommitWouldMeetIsNamed) {
  session_ = std::make_unique<TargetSession>(target_without_replica_mode(), "inc");
  quarantine_ = std::make_unique<Quarantine>(*session_);
  other_->run(
      "ALTER TABLE t ADD CONSTRAINT later UNIQUE (n) DEFERRABLE INITIALLY DEFERRED;"
      "GRANT ALL ON t TO tidegate_plain");
  EXPECT_EQ(load({row(1, "a"), {integer(2), text("b"), integer(1)}, row(3, "c")}, {"t", 0, {}, 5, 3}), 2u);
  EXPECT_THAT(rows("SELECT id FROM t ORDER BY id"), ElementsAre("1", "3"));
  EXPECT_THAT(held(), ElementsAre("[2]||rejected|23505|none|5"));
}

TEST_F(Loader, WritesRowsAndProgressTogether) {
  EXPECT_EQ(load({row(1, "a\t\\\n"), {integer(2), Null{}, Null{}}}, {"t", 0, {integer(2)}, 5, 2}), 2u);
  EXPECT_EQ(load({}, {"t", 1, {}, 6, 0}), 0u);
  EXPECT_THAT(rows("SELECT * FROM t ORDER BY id"), ElementsAre("1|a\t\\\n|1", "2|-|-"));
  auto chunks = loaded_chunks(*session_);
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0].up_to, Row{integer(2)});
  EXPECT_EQ(chunks[0].sequence, 5u);
  EXPECT_EQ(chunks[0].rows, 2u);
  EXPECT_THAT(chunks[1].up_to, IsEmpty());
  EXPECT_EQ(chunks[1].number, 1);
}

TEST_F(Loader, RowsThatDoNotFitAreNamed) {
  EXPECT_EQ(load({row(1, "a"), {integer(2), text("a\0b"s), integer(2)}, {integer(3), text("c"), text("x")}},
                 {"t", 0, {}, 4, 3}),
            1u);
  EXPECT_THAT(held(), ElementsAre("[2]|v|nul||none|4", "[3]|n|not_a_number||none|4"));
  EXPECT_TRUE(quarantine_->holds("t", "[2]"));
  EXPECT_EQ(quarantine_->size(), 2u);
}

// Halves of halves, down to the row; all others are there.
TEST_F(Loader, RowsThatTheTargetRefusesAreNamedAndNoOthers) {
  std::vector<Row> rows_in;
  for (std::int64_t id = 0; id < 3000; ++id) rows_in.push_back(row(id, "v" + std::to_string(id)));
  rows_in[0] = row(0, "bad");
  rows_in[1234] = row(1234, "bad");
  rows_in[2999] = row(2999, "v7");
  rows_in[2000] = {integer(2000), text("\xff"), integer(1)};
  EXPECT_EQ(load(rows_in, {"t", 0, {}, 4, 3000}), 2996u);
  EXPECT_THAT(held(), testing::UnorderedElementsAre(
                          "[0]||rejected|23514|none|4", "[1234]||rejected|23514|none|4",
                          "[2000]|v|invalid_utf8||none|4", "[2999]||rejected|23505|none|4"));
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre("2996"));
  EXPECT_EQ(loaded_chunks(*session_).at(0).rows, 2996u);
  EXPECT_TRUE(quarantine_->holds("t", "[1234]"));
  EXPECT_EQ(quarantine_->size(), 4u);
}

TEST_F(Loader, NothingOfAFailedChunkIsThere) {
  plan_.target = "missing";
  EXPECT_EQ(code_of([&] {
              load({row(1, "a"), {integer(2), text("\xff"), Null{}}}, {"t", 0, {}, 4, 2});
            }),
            "42P01");
  EXPECT_THAT(held(), IsEmpty());
  plan_.target = "t";
  EXPECT_THAT(loaded_chunks(*session_), IsEmpty());
  EXPECT_EQ(load({row(1, "a")}, {"t", 0, {}, 4, 1}), 1u);
  EXPECT_TRUE(quarantine_->empty());
}

TEST_F(Loader, OneChunkIsLoadedOnce) {
  load({row(1, "a")}, {"t", 0, {}, 4, 1});
  EXPECT_NE(code_of([&] { load({row(2, "b")}, {"t", 0, {}, 4, 1}); }), "nothing was thrown");
  EXPECT_THAT(rows("SELECT id FROM t"), ElementsAre("1"));
}

TEST_F(Loader, WhoWasTakenOverLoadsNothing) {
  TargetSession successor(target(), "inc");
  EXPECT_EQ(code_of([&] { load({row(1, "a")}, {"t", 0, {}, 4, 1}); }), "TG001");
  EXPECT_THAT(rows("SELECT id FROM t"), IsEmpty());
}

}  // namespace
}  // namespace tidegate
