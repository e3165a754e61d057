#include "apply/mapping/mapping_sink.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "db/error.hpp"

namespace tidegate {
namespace {

using ::testing::ElementsAre;

const Relation users{7, "user", {"id", "name"}, {0}}, notes{8, "note", {"id"}, {0}};

// Takes a while for what is spilled, and must be left alone meanwhile.
struct SlowSink : Sink {
  explicit SlowSink(std::vector<std::string>& said) : said(said) {}
  const Position& position() const override { return at; }
  void add(const Relation& relation, Change change) override {
    EXPECT_FALSE(busy);
    ++held;
    said.push_back(relation.table + " " + key_as_json(change.row));
  }
  std::size_t rows() const override {
    EXPECT_FALSE(busy);
    return held;
  }
  std::size_t bytes() const override { return 0; }
  void write(const Position&) override {
    EXPECT_FALSE(busy);
    held = 0;
    said.push_back("write");
  }
  void spill(std::uint64_t) override {
    busy = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    held = 0;
    busy = false;
    if (fails) throw Error("the target is away", "", Advice::reconnect);
    said.push_back("spilled");
  }
  void remove_ranges(const Relation& relation, const ChunkMap::Key&, const std::vector<KeyRange>&) override {
    EXPECT_FALSE(busy);
    said.push_back("ranges of " + relation.table);
  }

  std::vector<std::string>& said;
  Position at;
  std::size_t held = 0;
  std::atomic<bool> busy = false;
  bool fails = false;
};

Change insert(const Relation& relation, std::int64_t id) {
  Row row{id};
  if (relation.columns.size() > 1) row.emplace_back(std::string("n"));
  return Change{Operation::insert, relation.id, std::move(row), {}, {}};
}

struct MappingSinkTest : ::testing::Test {
  MappingSinkTest() : mapping(definitions(), {}, describe) {
    auto made = std::make_unique<SlowSink>(said);
    behind = made.get();
    sink = std::make_unique<MappingSink>(mapping, std::move(made));
  }
  static std::vector<MapDefinition> definitions() {
    MapDefinition map;
    map.from = "user";
    MapTarget& to = map.to.emplace_back();
    to.schema = "public";
    to.table = "people";
    to.key = {"id"};
    to.columns = {{"id", {"id + 100", "t.toml:1:1"}}};
    return {map};
  }
  static std::optional<SourceTable> describe(const std::string&) {
    SourceTable table;
    table.name = "user";
    table.primary_key = {"id"};
    for (const char* name : {"id", "name"}) table.columns.emplace_back().name = name;
    table.columns[0].declared_type = "INTEGER";
    return table;
  }

  std::vector<std::string> said;
  Mapping mapping;
  SlowSink* behind = nullptr;
  std::unique_ptr<MappingSink> sink;
};

TEST_F(MappingSinkTest, MapsOnWhileAPartIsBeingWrittenAndKeepsTheOrder) {
  sink->add(users, insert(users, 1));
  EXPECT_EQ(sink->rows(), 1u);
  sink->pass_on(5);
  sink->add(users, insert(users, 2));
  sink->add(notes, insert(notes, 3));
  EXPECT_EQ(sink->rows(), 2u) << "of the part that waits";
  EXPECT_GT(sink->bytes(), 0u);
  sink->pass_on(6);
  sink->remove_ranges(notes, {}, {});
  sink->add(users, insert(users, 4));
  sink->write({});
  EXPECT_THAT(said, ElementsAre("user -> public.people [101,1,null]", "spilled",
                                "user -> public.people [102,2,null]", "note [3]", "spilled", "ranges of note",
                                "user -> public.people [104,4,null]", "write"));
}

TEST_F(MappingSinkTest, AFailureOfTheWritingIsTheNextCallers) {
  behind->fails = true;
  sink->add(users, insert(users, 1));
  sink->pass_on(5);
  sink->add(users, insert(users, 2));
  EXPECT_THROW(sink->write({}), Error);
  sink->pass_on(6);
  sink.reset();  // waits for the writing, whatever becomes of it
}

}  // namespace
}  // namespace tidegate
