// Where to look, as ranges of rowids.
#include <gtest/gtest.h>

#include <limits>

#include "capture/sqlite/narrowing/look.hpp"

namespace tidegate::sqlite_wal {
namespace {

TEST(Look, RangesMerge) {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  Look look;
  for (RowidRange range : {RowidRange{5, 9}, {most, most}, {10, 12}, {20, 30}, {22, 23}, {least, 0}}) {
    look.add("t", range);
  }
  look.tidy();
  EXPECT_EQ(look.tables["t"].ranges, std::vector<RowidRange>({{least, 0}, {5, 12}, {20, 30}, {most, most}}));
  look.add("t", {least, most});
  look.tidy();
  EXPECT_TRUE(look.tables["t"].whole);
  Look many;
  for (int i = 0; i < 20; ++i) many.add("u", {10 * i, 10 * i + 1});
  many.tidy(10);
  EXPECT_TRUE(many.tables["u"].whole);
  look.unite(Look::at_everything("why"));
  EXPECT_TRUE(look.everything && look.reason == "why");
}

}  // namespace
}  // namespace tidegate::sqlite_wal
