#include "apply/net_changes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "support/plans.hpp"

namespace tidegate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing_support::column;
using testing_support::inserted;
using testing_support::integer;
using testing_support::plan;
using testing_support::relation_of;
using testing_support::removed;
using testing_support::text;
using testing_support::updated;
using namespace std::string_literals;

class NetChangesTest : public testing::Test {
 protected:
  const TableNet& net_of(const TablePlan& plan, std::vector<Change> changes) {
    plans_.emplace(plan.source, plan);
    for (auto& change : changes) net_.add(relation_of(plan), std::move(change));
    return *net_.tables().at(0);
  }
  Plans plans_;
  NetChanges net_{plans_};
};

const TablePlan by_number = plan("t", {column("id", TargetType::bigint), column("v", TargetType::text)});
const TablePlan by_text = plan("t", {column("k", TargetType::text), column("v", TargetType::bigint)});

TEST_F(NetChangesTest, TheLastChangeOfARowCounts) {
  const auto& net = net_of(by_number, {inserted({integer(1), text("a")}), updated({integer(1), text("b")}),
                                       updated({integer(2), text("x")}), removed({integer(2), text("x")}),
                                       removed({integer(3), text("y")}), inserted({integer(3), text("z")})});
  ASSERT_THAT(net.rows(), SizeIs(3));
  EXPECT_FALSE(net.rows()[0].remove);
  EXPECT_EQ(net.rows()[0].row, (Row{integer(1), text("b")}));
  EXPECT_TRUE(net.rows()[1].remove);
  EXPECT_FALSE(net.rows()[2].remove);
  EXPECT_EQ(net.rows()[2].row, (Row{integer(3), text("z")}));
  EXPECT_EQ(net_.rows(), 6u);
  EXPECT_GT(net_.bytes(), 6 * sizeof(Change));
}

// Only a row whose first change is an insert cannot be in the target yet.
TEST_F(NetChangesTest, BornSaysWhetherTheTargetMayHoldTheRow) {
  const auto& net = net_of(by_number, {inserted({integer(1), text("a")}), removed({integer(1), text("a")}),
                                       inserted({integer(1), text("b")}), removed({integer(2), text("x")}),
                                       inserted({integer(2), text("x")}), updated({integer(3), text("y")})});
  ASSERT_THAT(net.rows(), SizeIs(3));
  EXPECT_TRUE(net.rows()[0].born);
  EXPECT_FALSE(net.rows()[1].born);
  EXPECT_FALSE(net.rows()[2].born);
}

TEST_F(NetChangesTest, EqualNumbersAreOneRow) {
  const auto& net =
      net_of(plan("t", {column("id", TargetType::numeric)}), {removed({integer(1)}), inserted({1.0})});
  ASSERT_THAT(net.rows(), SizeIs(1));
  EXPECT_FALSE(net.rows()[0].remove);
}

TEST_F(NetChangesTest, TablesComeInTheirOrderAndUnplannedOnesNotAtAll) {
  TablePlan other = by_number;
  other.source = other.target = "u";
  plans_.emplace("u", other);
  net_.add(Relation{9, "not replicated", {"id"}, {0}}, {Operation::insert, 9, {integer(1)}, {}, {}});
  EXPECT_TRUE(net_.empty());
  net_.add(relation_of(other), inserted({integer(1), text("a")}));
  net_of(by_number, {inserted({integer(1), text("a")})});
  net_.add(relation_of(other), inserted({integer(2), text("b")}));
  ASSERT_THAT(net_.tables(), SizeIs(2));
  EXPECT_EQ(net_.tables()[0]->mapper().plan().source, "u");
  EXPECT_THAT(net_.tables()[0]->rows(), SizeIs(2));
}

// A column was added in the middle of the batch.
TEST_F(NetChangesTest, AnotherShapeOfATableIsKeptApart) {
  plans_.emplace("t", by_number);
  Relation wide{1, "t", {"id", "v", "new"}, {0}};
  net_.add(relation_of(by_number), inserted({integer(1), text("a")}));
  net_.add(wide, {Operation::update, 1, {integer(1), text("b"), Null{}}, {}, {}});
  ASSERT_THAT(net_.tables(), SizeIs(2));
  EXPECT_EQ(net_.tables()[1]->rows().at(0).row, (Row{integer(1), text("b"), Null{}}));
}

TEST_F(NetChangesTest, ARowWithoutAUsableKeyIsRejectedOnceByName) {
  const auto& net = net_of(by_text, {inserted({integer(1), integer(5)}), updated({integer(1), integer(6)})});
  EXPECT_THAT(net.rows(), IsEmpty());
  ASSERT_THAT(net.unkeyed(), SizeIs(1));
  const auto& [key, reject] = *net.unkeyed().begin();
  EXPECT_EQ(key, "[1]");
  ASSERT_TRUE(reject);
  EXPECT_EQ(reject->source_key, "[1]");
  EXPECT_EQ(decode_row(reject->key_bytes), (Row{integer(1)}));
  EXPECT_EQ(reject->column, "k");
  EXPECT_EQ(reject->reason, "wrong_class");
}

TEST_F(NetChangesTest, OfARowWithoutAUsableKeyTheLastChangeCountsToo) {
  const Row row{integer(1), integer(5)}, other{integer(2), integer(5)};
  const auto& net = net_of(by_text, {inserted(row), removed(row), removed(other), inserted(other)});
  ASSERT_THAT(net.unkeyed(), SizeIs(2));
  EXPECT_FALSE(net.unkeyed().at("[1]"));
  EXPECT_TRUE(net.unkeyed().at("[2]"));
}

// --- from a row to its target ---

Reject why;

TEST(RowMapper, KeysThatDifferInTheSourceNeverBecomeOneRow) {
  TablePlan by_bytes = plan("t", {column("k", TargetType::bytea), column("v", TargetType::bigint)});
  const std::vector<std::pair<const TablePlan*, std::vector<Value>>> cases = {
      {&by_text, {integer(1), 1.5, text("1"), text("1.5"), Blob{"1"}}},
      {&by_bytes, {Blob{"1"}, text("1"), integer(1)}},
      {&by_number, {integer(1), text("1"), Blob{"1"}}},
  };
  for (const auto& [plan, keys] : cases) {
    RowMapper mapper(*plan, relation_of(*plan));
    std::set<std::string> seen;
    for (const Value& key : keys) {
      auto target = mapper.target_key({key, Null{}}, why);
      EXPECT_TRUE(!target || seen.insert(*target).second)
          << sql_type(plan->columns[0]) << " " << storage_class(key);
    }
    EXPECT_THAT(seen, testing::Not(IsEmpty()));
  }
}

TEST(RowMapper, ANullKeyIsAMisfit) {
  RowMapper mapper(by_number, relation_of(by_number));
  EXPECT_FALSE(mapper.target_key({Null{}, Null{}}, why));
  EXPECT_EQ(why.reason, "null_key");
  std::string lines;
  EXPECT_FALSE(mapper.append_copy_line({Null{}, Null{}}, lines, why));
}

TEST(RowMapper, CompositeKeysDoNotRunIntoEachOther) {
  TablePlan pair = plan("t", {column("a", TargetType::text), column("b", TargetType::text)});
  pair.key = {"b", "a"};
  RowMapper mapper(pair, relation_of(pair));
  auto key = [&](const char* a, const char* b) { return *mapper.target_key({text(a), text(b)}, why); };
  EXPECT_NE(key("1", "2"), key("2", "1"));
  EXPECT_NE(key("1\",\"2", ""), key("1", "2"));
  EXPECT_NE(key("\"", ","), key("\",", ""));
  std::vector<std::string> arrays;
  EXPECT_TRUE(mapper.append_key({text("A"), text("B")}, arrays, why));
  EXPECT_THAT(arrays, ElementsAre("{\"B\"", "{\"A\""));
}

TEST(RowMapper, AMisfitLeavesNoTrace) {
  TablePlan three = plan("t", {column("id", TargetType::bigint), column("a", TargetType::text),
                               column("n", TargetType::bigint)});
  RowMapper mapper(three, relation_of(three));
  std::vector<std::string> arrays;
  std::string lines;
  Row good{integer(1), text("secret\t,\"\\"), integer(2)}, bad{integer(2), text("secret"), text("no")};
  EXPECT_FALSE(mapper.append_row(bad, arrays, why));
  ASSERT_TRUE(mapper.append_row(good, arrays, why));
  auto before = arrays;
  EXPECT_FALSE(mapper.append_row(bad, arrays, why));
  EXPECT_EQ(arrays, before);
  EXPECT_EQ(why.source_key, "[2]");
  EXPECT_EQ(why.column, "n");
  EXPECT_EQ(why.reason, "not_a_number");
  ASSERT_TRUE(mapper.append_row(good, arrays, why));
  EXPECT_THAT(arrays, ElementsAre("{\"1\",\"1\"", R"({"secret	,\"\\","secret	,\"\\")", "{\"2\",\"2\""));
  ASSERT_TRUE(mapper.append_copy_line(good, lines, why));
  auto one = lines;
  EXPECT_FALSE(mapper.append_copy_line(bad, lines, why));
  EXPECT_EQ(lines, one);
  EXPECT_EQ(one, "1\tsecret\\t,\"\\\\\t2\n");
}

TEST(RowMapper, ReadsColumnsByName) {
  Relation turned{1, "t", {"v", "extra", "id"}, {2}};
  RowMapper mapper(by_number, turned);
  std::string lines;
  EXPECT_TRUE(mapper.append_copy_line({text("a"), Null{}, integer(1)}, lines, why));
  EXPECT_EQ(lines, "1\ta\n");
  EXPECT_EQ(mapper.source_key({text("a"), Null{}, integer(1)}), "[1]");
  EXPECT_THROW(RowMapper(by_number, Relation{1, "t", {"id"}, {0}}), std::invalid_argument);
  TablePlan keyless = by_number;
  keyless.key = {"other"};
  EXPECT_THROW(RowMapper(keyless, turned), std::invalid_argument);
}

}  // namespace
}  // namespace tidegate
