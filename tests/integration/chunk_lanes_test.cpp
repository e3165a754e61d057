#include "replicator/pipeline/chunk_lanes.hpp"

#include <gmock/gmock.h>

#include <deque>

#include "db/error.hpp"
#include "server.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing_support::column;
using testing_support::integer;
using testing_support::text;

constexpr std::int64_t many = 20000;

class Lanes : public testing_support::ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (IsSkipped()) return;
    session_ = std::make_unique<TargetSession>(target(), "inc");
    quarantine_ = std::make_unique<Quarantine>(*session_);
    plan_ = testing_support::plan("t", {column("id", TargetType::bigint), column("v", TargetType::text)});
    plan_.schema = name_;
    other_->run("CREATE TABLE t(id bigint PRIMARY KEY, v text UNIQUE)");
    mapper_.emplace(plan_, testing_support::relation_of(plan_));
  }
  // Rows from `first` on whose texts are their own, but for those given.
  static std::vector<Row> rows_from(std::int64_t first, std::map<std::int64_t, std::string> texts) {
    std::vector<Row> made;
    for (std::int64_t id = first; id < first + many; ++id)
      made.push_back({integer(id), text(texts.contains(id) ? texts[id] : std::to_string(id))});
    return made;
  }
  void copy(std::deque<std::vector<Row>> chunks) {
    const OrphanGuard orphans(session_->connection(), true, {});
    KnownParents known;
    std::deque<std::vector<ChunkLoader::Part>> parts;
    auto take = [&]() -> std::optional<ChunkLanes::Taken> {
      if (parts.size() == chunks.size()) return std::nullopt;
      const auto number = static_cast<int>(parts.size());
      const auto& rows = chunks[parts.size()];
      parts.emplace_back().push_back({&*mapper_, ChunkLoader::encode_lines(*mapper_, rows)});
      return ChunkLanes::Taken{
          &parts.back(), {"t", number, {}, 1, rows.size()}, [&, number] { settled_.push_back(number); }};
    };
    ChunkLanes(*session_, *quarantine_, orphans, known, take).run(2);
  }
  std::vector<std::string> held() {
    return rows("SELECT source_key FROM tidegate.quarantine WHERE pipeline = '" + name_ + "' ORDER BY id");
  }

  TablePlan plan_;
  std::optional<RowMapper> mapper_;
  std::unique_ptr<TargetSession> session_;
  std::unique_ptr<Quarantine> quarantine_;
  std::vector<int> settled_;
};

TEST_F(Lanes, ChunksAreSettledInTheirOrder) {
  copy({rows_from(1, {}),
        {{integer(1000000), text("one")}},
        rows_from(100001, {}),
        {{integer(2000000), text("two")}}});
  EXPECT_THAT(settled_, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre("40002"));
  EXPECT_THAT(rows("SELECT number FROM tidegate.chunks WHERE pipeline = '" + name_ + "' ORDER BY number"),
              ElementsAre("0", "1", "2", "3"));
}

// The later chunk is there first, and holds what the earlier one still needs.
TEST_F(Lanes, ARowOfALaterChunkDoesNotKeepAnEarlierOneWaiting) {
  copy({rows_from(1, {{many, "same"}}), {{integer(1000000), text("same")}}});
  EXPECT_THAT(rows("SELECT id FROM t WHERE v = 'same'"), ElementsAre(std::to_string(many)));
  EXPECT_THAT(held(), ElementsAre("[1000000]"));
}

TEST_F(Lanes, RowsThatWaitForEachOtherEndAsIfOneLaneHadCopiedThem) {
  const std::int64_t second = 100001;
  copy({rows_from(1, {{1, "a"}, {many, "b"}}), rows_from(second, {{second, "b"}, {second + many - 1, "a"}})});
  EXPECT_THAT(rows("SELECT id, v FROM t WHERE v IN ('a', 'b') ORDER BY v"), ElementsAre("1|a", "20000|b"));
  EXPECT_THAT(held(), ElementsAre("[100001]", "[120000]"));
}

TEST_F(Lanes, WhatOneFailsOnEndsThemAll) {
  const TargetSession successor(target(), "inc");  // the lanes do not have its lease
  EXPECT_EQ(testing_support::code_of([&] { copy({rows_from(1, {}), rows_from(100001, {})}); }), "TG001");
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre("0"));
}

}  // namespace
}  // namespace tidegate
