// Rows that are kept on disk: each once, in the order in which they came.
#include "apply/mapping/back/spooled_rows.hpp"

#include <gmock/gmock.h>

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Row one{Value(std::int64_t{1}), Value(std::string("a"))}, two{Value(Null{})},
    three{Value(std::string("1"))};

TEST(SpooledRows, HasWhatWasAddedAndGivesItOnce) {
  SpooledRows rows;
  for (const Row& row : {two, one, two, three, one}) rows.add(row);
  EXPECT_TRUE(rows.has(one));
  EXPECT_FALSE(rows.has({Value(std::int64_t{1})})) << "a number is no text";
  EXPECT_THAT(rows.take(2), ElementsAre(two, one));
  EXPECT_THAT(rows.take(2), ElementsAre(three));
  EXPECT_THAT(rows.take(2), IsEmpty());
  EXPECT_TRUE(rows.has(one)) << "also when it was given";
}

TEST(SpooledRows, OfNothingIsEmpty) {
  SpooledRows rows;
  EXPECT_FALSE(rows.has(one));
  EXPECT_THAT(rows.take(1), IsEmpty());
}

}  // namespace
}  // namespace tidegate
