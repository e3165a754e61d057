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

}  // namespace
}  // namespace tidegate
