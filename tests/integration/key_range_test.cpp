#include "apply/postgres/key_range.hpp"

#include <gmock/gmock.h>

#include "server.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing_support::column;
using namespace std::string_literals;

class Ranges : public testing_support::ServerTest {
 protected:
  std::vector<std::string> left(const std::string& type, const std::string& values, KeyOrder order,
                                const KeyRange& range) {
    other_->run("CREATE TABLE t(\"the id\" " + type + ", n int); INSERT INTO t VALUES " + values);
    TablePlan plan =
        testing_support::plan("t", {column("id", TargetType::native), column("n", TargetType::native)});
    plan.schema = name_;
    plan.columns[0].target = "the id";
    other_->run(delete_range_sql(plan, {{"id"}, {order}}, range));
    auto found = rows("SELECT n FROM t ORDER BY n");
    other_->run("DROP TABLE t");
    return found;
  }
};

TEST_F(Ranges, OfIntegers) {
  EXPECT_THAT(left("bigint", "(9, 1), (10, 2), (11, 3), (100, 4)", KeyOrder::integer, {{"9"s}, {"11"s}}),
              ElementsAre("1", "4"));
  EXPECT_THAT(left("int", "(-1, 1), (0, 2)", KeyOrder::integer, {{}, {"-1"s}}), ElementsAre("2"));
  EXPECT_THAT(left("int", "(-1, 1), (0, 2)", KeyOrder::integer, {{"-1"s}, {}}), ElementsAre("1"));
  EXPECT_THAT(left("int", "(-1, 1), (0, 2)", KeyOrder::integer, {{}, {}}), IsEmpty());
}

// Under a locale 'B' comes after 'a'.
TEST_F(Ranges, OfTextsGoByBytesWhateverTheTargetsCollation) {
  EXPECT_THAT(
      left("text COLLATE \"und-x-icu\"", "('a', 1), ('B', 2), ('o''k', 3)", KeyOrder::bytes, {{}, {"B"s}}),
      ElementsAre("1", "3"));
  EXPECT_THAT(left("text", "('a', 1), ('o''k', 2), ('z', 3)", KeyOrder::bytes, {{"a"s}, {"o'k"s}}),
              ElementsAre("1", "3"));
}

TEST_F(Ranges, OfBytesAndUuids) {
  EXPECT_THAT(
      left("bytea", "('\\x00', 1), ('\\x0000', 2), ('\\xff', 3)", KeyOrder::bytes, {{"\\x00"s}, {"\\xfe"s}}),
      ElementsAre("1", "3"));
  std::string low = "00000000-0000-0000-0000-00000000000a", high = "f0000000-0000-0000-0000-000000000000";
  EXPECT_THAT(left("uuid", "('" + low + "', 1), ('" + high + "', 2)", KeyOrder::bytes, {{low}, {}}),
              ElementsAre("1"));
}

TEST_F(Ranges, OfPairs) {
  other_->run(
      "CREATE TABLE t(a int, b text, n int); INSERT INTO t VALUES (1, 'b', 1), (1, 'c', 2), (2, 'a', 3), (2, "
      "'b', 4)");
  TablePlan plan =
      testing_support::plan("t", {column("a", TargetType::native), column("b", TargetType::native)});
  plan.schema = name_;
  other_->run(delete_range_sql(plan, {{"a", "b"}, {KeyOrder::integer, KeyOrder::bytes}},
                               {{"1"s, "b"s}, {"2"s, "a"s}}));
  EXPECT_THAT(rows("SELECT n FROM t ORDER BY n"), ElementsAre("1", "4"));
}

}  // namespace
}  // namespace tidegate
