// Pages of b-trees by their bytes.
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <random>

#include "capture/sqlite/narrowing/page_map.hpp"

namespace tidegate::sqlite_wal {
namespace {

// An interior page of a table: children by their greatest rowid (below 128), and the right-most child.
std::vector<std::uint8_t> interior_page(const std::vector<std::pair<int, int>>& children, int right_most) {
  std::vector<std::uint8_t> image(512);
  image[0] = 5;
  image[4] = static_cast<std::uint8_t>(children.size());
  image[11] = static_cast<std::uint8_t>(right_most);
  for (std::size_t i = 0; i < children.size(); ++i) {
    std::size_t cell = 500 - 5 * i;
    image[12 + 2 * i] = static_cast<std::uint8_t>(cell >> 8);
    image[13 + 2 * i] = static_cast<std::uint8_t>(cell);
    image[cell + 3] = static_cast<std::uint8_t>(children[i].second);
    image[cell + 4] = static_cast<std::uint8_t>(children[i].first);
  }
  return image;
}

std::vector<RowidRange> rerouted(const std::vector<std::uint8_t>& before,
                                 const std::vector<std::uint8_t>& now, RowidRange range = {}) {
  std::vector<RowidRange> out;
  each_rerouted(BtreePage(before, 2, 512), BtreePage(now, 2, 512), range,
                [&](RowidRange part) { out.push_back(part); });
  return out;
}

TEST(PageMap, AnInteriorPageNamesTheRowidsThatItSendsElsewhere) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  auto page = interior_page({{10, 3}, {20, 4}, {30, 5}}, 6);
  using Ranges = std::vector<RowidRange>;
  EXPECT_EQ(rerouted(page, page), Ranges{});
  EXPECT_EQ(rerouted(page, interior_page({{10, 3}, {15, 4}, {20, 7}, {30, 5}}, 6)), Ranges({{16, 20}}));
  EXPECT_EQ(rerouted(page, interior_page({{10, 3}, {30, 5}}, 6)), Ranges({{11, 20}}));
  EXPECT_EQ(rerouted(page, interior_page({{10, 3}, {20, 4}, {30, 5}, {40, 6}}, 7)), Ranges({{41, most}}));
  EXPECT_EQ(rerouted(page, interior_page({{12, 3}, {20, 4}, {30, 5}}, 6)), Ranges({{11, 12}}));
  EXPECT_EQ(rerouted(page, interior_page({}, 6), {15, 40}), Ranges({{15, 20}, {21, 30}}));
  EXPECT_EQ(rerouted(page, interior_page({{10, 3}, {20, 4}, {30, 5}}, 7), {5, 30}), Ranges{});
}

TEST(BtreePage, AMalformedPageIsUnsureAndNeverReadBeyond) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::uint8_t> image(512);
    for (auto& byte : image) byte = static_cast<std::uint8_t>(random());
    image[0] = std::array<std::uint8_t, 4>{2, 5, 10, 13}[random() % 4];
    image[3] = 0;
    image[4] = static_cast<std::uint8_t>(random() % 30);
    try {
      BtreePage page(image, 2, 512);
      for (int i = 0; i < page.cells(); ++i) page.overflow(i);
      if (page.is_table()) page.lower_bound(static_cast<std::int64_t>(random()));
      if (page.is_interior()) page.child(page.cells());
    } catch (const Unsure&) {
    }
  }
}

}  // namespace
}  // namespace tidegate::sqlite_wal
