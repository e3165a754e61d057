// What is read in whole of the target, and in which order.
#include "apply/mapping/back/whole_tables.hpp"

#include <gmock/gmock.h>

#include <deque>

namespace tidegate {
namespace {

using testing::ElementsAre;

std::string told(const WholeTable& table) {
  std::string text = table.from + " by";
  for (const auto& column : table.columns) text += " " + column;
  return text;
}

class WholeTablesTest : public ::testing::Test {
 protected:
  // One whose rows are those of public.`target`, under `key`, with references to these scopes.
  ReturnedTable& table(const std::string& name, const std::string& target, const std::string& key,
                       const std::vector<std::string>& refers_to = {}) {
    MapTarget& made = targets_.emplace_back();
    made.schema = "public", made.table = target;
    ReturnedTable& table = tables_.emplace_back();
    table.plan.table = name;
    add_output(table, made, key);
    table.plan.entity = ColumnKey{"uuid:" + name, {}, "id"};
    for (const auto& scope : refers_to) {
      ReturnSource& column = table.plan.columns.emplace_back();
      column.kind = ReturnSource::Kind::key;
      column.key = ColumnKey{"uuid:" + scope, {}, scope + "_id"};
    }
    return table;
  }
  static void add_output(ReturnedTable& table, MapTarget& made, const std::string& key) {
    ReturnOutput& output = table.plan.outputs.emplace_back(ReturnOutput{{nullptr, &made, ""}});
    output.is_part = true;
    output.made_key = {key};
    TablePlan& plan = table.plans.emplace_back();
    plan.schema = made.schema, plan.target = made.table;
  }
  std::vector<std::string> order() {
    std::vector<const ReturnedTable*> all;
    for (const auto& each : tables_) all.push_back(&each);
    std::vector<std::string> found;
    for (const auto& each : whole_tables(all)) found.push_back(told(each));
    return found;
  }

  std::deque<MapTarget> targets_;
  std::deque<ReturnedTable> tables_;
};

TEST_F(WholeTablesTest, WhoIsReferredToComesFirst) {
  table("project", "projects", "id", {"child"});
  table("child", "children", "id", {"user"});
  table("user", "profiles", "id", {"user"});
  EXPECT_THAT(order(), ElementsAre("\"public\".\"profiles\" by id", "\"public\".\"children\" by id",
                                   "\"public\".\"projects\" by id"));
}

TEST_F(WholeTablesTest, ACircleBeginsWithTheFirst) {
  table("a", "as", "id", {"b"});
  table("b", "bs", "id", {"a"});
  EXPECT_THAT(order(), ElementsAre("\"public\".\"as\" by id", "\"public\".\"bs\" by id"));
}

TEST_F(WholeTablesTest, SharedTablesAreReadOnceAndLast) {
  MapTarget& users = targets_.emplace_back();
  users.schema = "public", users.table = "users";
  for (const std::string name : {"teacher", "parent"}) {
    ReturnedTable& owner = table(name, name + "s", "user_id");
    add_output(owner, users, "id");
    owner.plan.outputs.back().is_shared = true;
  }
  EXPECT_THAT(order(), ElementsAre("\"public\".\"teachers\" by user_id", "\"public\".\"parents\" by user_id",
                                   "\"public\".\"users\" by id"));
}

TEST_F(WholeTablesTest, AContributorsOwnerComesBeforeIt) {
  ReturnedTable& book = table("phonebook", "users", "id");
  book.plan.contributes = true;
  table("teacher", "teachers", "user_id");
  EXPECT_THAT(order(), ElementsAre("\"public\".\"teachers\" by user_id", "\"public\".\"users\" by id"));
}

}  // namespace
}  // namespace tidegate
