#include "proto/value.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tidegate {
namespace {

constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

Value integer(std::int64_t value) {
  return value;
}
Value text(std::string value) {
  return value;
}
Value blob(std::string bytes) {
  return Blob{std::move(bytes)};
}

TEST(Value, StorageClassIsNamedAsSqliteDoes) {
  EXPECT_EQ(storage_class(Null{}), "null");
  EXPECT_EQ(storage_class(integer(1)), "integer");
  EXPECT_EQ(storage_class(1.0), "real");
  EXPECT_EQ(storage_class(text("1")), "text");
  EXPECT_EQ(storage_class(blob("1")), "blob");
}

TEST(Value, IdenticalTellsApartWhatComparesEqual) {
  EXPECT_FALSE(identical(integer(1), Value(1.0)));
  EXPECT_FALSE(identical(text("a"), text("A")));
  EXPECT_FALSE(identical(text("a"), text("a ")));
  EXPECT_FALSE(identical(text("a"), blob("a")));
  EXPECT_FALSE(identical(Value(0.0), Value(-0.0)));
  EXPECT_TRUE(identical(Value(kNan), Value(-kNan)));
  EXPECT_TRUE(identical(Value(Null{}), Value(Null{})));
  EXPECT_TRUE(identical(text(std::string("a\0b", 3)), text(std::string("a\0b", 3))));
  EXPECT_FALSE(identical(Row{integer(1)}, Row{integer(1), Null{}}));
}

// Each value goes before all that follow it.
TEST(Value, BinaryOrderIsExactOverClassesAndNumbers) {
  const Row ascending = {Null{},
                         Value(kNan),
                         Value(-kInfinity),
                         Value(-9223372036854777856.0),
                         integer(kMin),
                         integer(kMin + 1),
                         Value(-1.5),
                         integer(-1),
                         Value(-0.5),
                         integer(0),
                         Value(std::numeric_limits<double>::denorm_min()),
                         integer(1),
                         Value(1.5),
                         integer(9007199254740992),
                         integer(9007199254740993),
                         Value(9007199254740994.0),
                         integer(kMax - 1),
                         integer(kMax),
                         Value(9223372036854775808.0),
                         Value(kInfinity),
                         text(""),
                         text("A"),
                         text("a"),
                         text(std::string("a\0", 2)),
                         text("\xff"),
                         blob(""),
                         blob("a"),
                         blob("\xff")};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(binary_order(ascending[i], ascending[j]), i <=> j) << i << " and " << j;
    }
  }
}

TEST(Value, BinaryOrderTakesEqualNumbersOfBothClassesAsEqual) {
  EXPECT_EQ(binary_order(integer(1), Value(1.0)), std::weak_ordering::equivalent);
  EXPECT_EQ(binary_order(Value(-9223372036854775808.0), integer(kMin)), std::weak_ordering::equivalent);
  EXPECT_EQ(binary_order(Value(0.0), Value(-0.0)), std::weak_ordering::equivalent);
}

TEST(Value, RowsOrderByTheirFirstDifference) {
  EXPECT_EQ(binary_order(Row{integer(1), text("b")}, Row{integer(1), text("a")}),
            std::weak_ordering::greater);
  EXPECT_EQ(binary_order(Row{integer(1)}, Row{integer(1), Null{}}), std::weak_ordering::less);
}

TEST(Value, SizeCountsWhatIsOnTheHeap) {
  EXPECT_EQ(size_in_memory(integer(1)), sizeof(Value));
  EXPECT_EQ(size_in_memory(text("short")), sizeof(Value));
  EXPECT_GE(size_in_memory(text(std::string(1000, 'x'))), sizeof(Value) + 1000);
  EXPECT_GE(size_in_memory(Row{blob(std::string(1000, 'x')), Null{}}), 2 * sizeof(Value) + 1000);
}

}  // namespace
}  // namespace tidegate
