#include "apply/postgres/object_builder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidegate {
namespace {

using Kind = DdlObject::Kind;
using testing::ElementsAre;

// Names of the objects, stage by stage, those that follow each other joined.
std::vector<std::vector<std::string>> stages_of(std::vector<DdlObject> objects) {
  std::vector<std::vector<std::string>> out;
  for (const auto& stage : build_stages(std::move(objects))) {
    auto& names = out.emplace_back();
    for (const auto& together : stage) {
      std::string& joined = names.emplace_back();
      for (const auto& object : together) joined += (joined.empty() ? "" : ",") + object.name;
    }
  }
  return out;
}

TEST(BuildStages, ForeignKeysComeLastAndIndexesOfATableSideBySide) {
  EXPECT_THAT(stages_of({{Kind::foreign_key, "a", "fk", {}},
                         {Kind::index, "a", "ix", {}},
                         {Kind::unique, "a", "u", {}},
                         {Kind::primary_key, "a", "pk", {}},
                         {Kind::check, "a", "c", {}}}),
              ElementsAre(ElementsAre("pk"), ElementsAre("ix", "u"), ElementsAre("fk", "c")));
}

TEST(BuildStages, IndexesThatAreAttachedFollowEachOther) {
  EXPECT_THAT(stages_of({{Kind::index, "p", "root", {"CREATE INDEX root ON ONLY p (a)"}},
                         {Kind::index, "q", "other", {}},
                         {Kind::index, "p", "leaf", {"CREATE INDEX leaf ON p1 (a)"}},
                         {Kind::index, "p", "attach", {"ALTER INDEX root ATTACH PARTITION leaf"}}}),
              ElementsAre(ElementsAre("root,leaf,attach", "other")));
}

TEST(BuildStages, NothingIsNoStage) {
  EXPECT_TRUE(build_stages({}).empty());
}

}  // namespace
}  // namespace tidegate
