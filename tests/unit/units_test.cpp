#include "replicator/config/units.hpp"

#include <gtest/gtest.h>

namespace tidegate {
namespace {

using std::chrono::milliseconds;

TEST(Units, SizesAreReadInPowersOf1000And1024) {
  EXPECT_EQ(parse_size("16MiB"), 16u << 20);
  EXPECT_EQ(parse_size("1.5 KiB"), 1536u);
  EXPECT_EQ(parse_size("2GB"), 2'000'000'000u);
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("0"), 0u);
}

TEST(Units, WhatIsNoSizeIsAbsent) {
  for (const char* text :
       {"", "MiB", "-1MiB", "16 mib", "16MiBs", "1e3", "0.3B", "99999999TiB", "0x10", " 1", "1MiB "})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Units, DurationsNeedAUnit) {
  EXPECT_EQ(parse_duration("50ms"), milliseconds(50));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_duration("10 m"), milliseconds(600'000));
  EXPECT_EQ(parse_duration("24h"), milliseconds(86'400'000));
  for (const char* text : {"", "50", "s", "-1s", "1.5ms", "1h30m", "nan s", "inf", "1e9d"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Units, SettingsAreWrittenWithoutLoss) {
  for (const std::uint64_t bytes :
       {0ull, 1ull, 1023ull, 1024ull, 1025ull, 5'000'001ull, 16ull << 20, 3ull << 40})
    EXPECT_EQ(parse_size(exact_size(bytes)), bytes) << exact_size(bytes);
  for (const int ms : {0, 1, 50, 1000, 1500, 60'000, 61'000, 3'600'000, 86'400'000})
    EXPECT_EQ(parse_duration(exact_duration(milliseconds(ms))), milliseconds(ms))
        << exact_duration(milliseconds(ms));
}

TEST(Units, AreWrittenForPeople) {
  EXPECT_EQ(format_size(0), "0 B");
  EXPECT_EQ(format_size(1023), "1023 B");
  EXPECT_EQ(format_size(16u << 20), "16.0 MiB");
  EXPECT_EQ(format_duration(milliseconds(50)), "50ms");
  EXPECT_EQ(format_duration(milliseconds(1500)), "1.5s");
  EXPECT_EQ(format_duration(milliseconds(245'000)), "4m 05s");
  EXPECT_EQ(format_duration(std::chrono::hours(24)), "1d 0h");
  EXPECT_EQ(format_count(7), "7");
  EXPECT_EQ(format_count(1204551), "1,204,551");
  EXPECT_EQ(format_count(100), "100");
}

}  // namespace
}  // namespace tidegate
