#include "replicator/pipeline/source_companion.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace tidegate {
namespace {

// After a restart the stream brings markers of the process before once more; in a container that had the same
// id.
TEST(SourceCompanion, OnlyMarkersOfThisProcessAnswerAWish) {
  Settings settings;
  settings.pipeline = "shop";
  const std::string ours = SourceCompanion::marker(42, settings);
  EXPECT_EQ(SourceCompanion::wish_in(ours, settings), 42u);
  EXPECT_FALSE(SourceCompanion::wish_in("tidegate_shop " + std::to_string(getpid()) + " 42", settings));
  EXPECT_FALSE(SourceCompanion::wish_in(ours + "x", settings));
  EXPECT_FALSE(SourceCompanion::wish_in("", settings));
  Settings other = settings;
  other.pipeline = "shop2";
  EXPECT_FALSE(SourceCompanion::wish_in(ours, other));
}

TEST(SourceCompanion, WhatIsLeftOfTheSlotAsTime) {
  using Seen = SourceCompanion::Seen;
  const auto at = [](int seconds) {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(seconds));
  };
  const Seen before{at(0), 1000};
  EXPECT_EQ(SourceCompanion::time_left(before, {at(10), 3000}, 100000), 500.0);
  EXPECT_FALSE(SourceCompanion::time_left(before, before, 100000)) << "one look is no rate";
  EXPECT_FALSE(SourceCompanion::time_left(before, {at(10), 1000}, 100000)) << "nobody writes";
  EXPECT_EQ(SourceCompanion::time_left(before, {at(10), 3000}, 0), 0.0);
}

}  // namespace
}  // namespace tidegate
