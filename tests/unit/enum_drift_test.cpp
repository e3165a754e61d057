#include "replicator/pipeline/enum_drift.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replicator/pipeline/known_tables.hpp"

namespace tidegate {
namespace {

using capture::EnumType;
using testing::ElementsAre;
using testing::IsEmpty;

EnumType mood(std::vector<capture::EnumLabel> labels) {
  return {"public", "mood", std::move(labels)};
}

std::vector<std::string> statements(const EnumType& before, const EnumType& now, const EnumType& target) {
  std::vector<std::string> all;
  for (const auto& change : enum_changes({before}, {now}, {target})) {
    EXPECT_EQ(change.type, "public.mood");
    all.push_back(change.statement.substr(std::string("ALTER TYPE \"public\".\"mood\" ").size()));
  }
  return all;
}

const EnumType two = mood({{1, "sad"}, {2, "ok"}});

TEST(EnumDrift, NothingHappened) {
  EXPECT_THAT(statements(two, two, mood({{77, "sad"}, {78, "ok"}, {79, "the target's own"}})), IsEmpty());
}

TEST(EnumDrift, ANewLabelStandsWhereTheSourceHasIt) {
  auto now = mood({{9, "worst"}, {1, "sad"}, {7, "so, so"}, {8, "it's"}, {2, "ok"}});
  EXPECT_THAT(statements(two, now, two), ElementsAre("ADD VALUE IF NOT EXISTS 'worst' BEFORE 'sad'",
                                                     "ADD VALUE IF NOT EXISTS 'so, so' AFTER 'sad'",
                                                     "ADD VALUE IF NOT EXISTS 'it''s' AFTER 'so, so'"));
  EXPECT_THAT(statements(two, now, now), IsEmpty()) << "it may be there already";
}

TEST(EnumDrift, ARenamedLabelIsRenamed) {
  auto now = mood({{1, "blue"}, {2, "ok"}});
  EXPECT_THAT(statements(two, now, two), ElementsAre("RENAME VALUE 'sad' TO 'blue'"));
  EXPECT_THAT(statements(two, now, now), IsEmpty()) << "a crash came after it";
}

TEST(EnumDrift, NamesThatAreHandedOn) {
  EXPECT_THAT(statements(two, mood({{1, "ok"}, {2, "good"}}), two),
              ElementsAre("RENAME VALUE 'ok' TO 'good'", "RENAME VALUE 'sad' TO 'ok'"));
  EXPECT_THAT(statements(two, mood({{1, "ok"}, {2, "sad"}}), two),
              ElementsAre("RENAME VALUE 'sad' TO 'tidegate 0'", "RENAME VALUE 'ok' TO 'sad'",
                          "RENAME VALUE 'tidegate 0' TO 'ok'"));
  EXPECT_THAT(statements(two, mood({{1, "blue"}, {2, "ok"}}), mood({{5, "sad"}, {6, "ok"}, {7, "blue"}})),
              IsEmpty())
      << "a label of the target's own has that name";
}

TEST(EnumDrift, NamesThatWereHandedOnAreSeen) {
  EXPECT_TRUE(names_were_handed_on(two, mood({{1, "ok"}, {2, "good"}})));
  EXPECT_TRUE(names_were_handed_on(two, mood({{1, "blue"}, {2, "ok"}, {3, "sad"}})));
  EXPECT_FALSE(names_were_handed_on(two, mood({{1, "blue"}, {2, "ok"}, {3, "good"}})));
}

TEST(EnumDrift, TypesThatTheTargetLacksAreLeftAlone) {
  EXPECT_THAT(enum_changes({two}, {mood({{1, "blue"}})}, {}), IsEmpty());
  EXPECT_THAT(enum_changes({}, {two}, {mood({{1, "sad"}})}).size(), 1u) << "one that is new to us";
}

TEST(EnumDrift, WhatIsKeptIsWhatIsCompared) {
  EnumType odd{"Odd \"s\"", "t", {{4000000000u, "a,\"b'"}}};
  EXPECT_EQ(enums_from_json(enums_to_json({two, odd})), (std::vector<EnumType>{two, odd}));
  EXPECT_THROW(enums_from_json("[{}]"), std::invalid_argument);
}

}  // namespace
}  // namespace tidegate
