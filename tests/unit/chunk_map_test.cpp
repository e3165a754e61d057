#include "apply/chunk_map.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "support/capture_rig.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

// Nothing of the change is left to apply.
bool already_copied(const ChunkMap& map, const Relation& relation, const Change& change, std::uint64_t at) {
  return !map.unseen(relation, change, at).change;
}

using testing_support::KeyOrder;
using testing_support::Seeded;
using namespace std::string_literals;

const Relation relation{1, "t", {"v", "k"}, {1}};

Change change_of(const Value& key) {
  return {Operation::insert, 1, {Null{}, key}, {}, {}};
}
Value integer(std::int64_t value) {
  return value;
}

TEST(ChunkMap, DropsWhatTheKeysChunkShowed) {
  ChunkMap map;
  map.add("t", {integer(10)}, 5);
  map.add("t", {integer(20)}, 3);
  map.add("t", {}, 8);
  auto copied = [&](const Value& key, std::uint64_t at) {
    return already_copied(map, relation, change_of(key), at);
  };
  EXPECT_TRUE(copied(integer(-100), 5));  // the first begins before all keys
  EXPECT_FALSE(copied(integer(-100), 6));
  EXPECT_TRUE(copied(integer(10), 5));  // its last key belongs to it
  EXPECT_TRUE(copied(10.0, 5));
  EXPECT_FALSE(copied(10.5, 4));
  EXPECT_TRUE(copied(integer(20), 3));
  EXPECT_TRUE(copied("text"s, 8));  // the last one ends after all
  EXPECT_FALSE(copied("text"s, 9));
  EXPECT_EQ(map.newest(), 8u);
}

TEST(ChunkMap, ATableWithoutChunksDropsNothing) {
  ChunkMap map;
  EXPECT_FALSE(already_copied(map, relation, change_of(integer(1)), 0));
  map.add("u", {}, 100);
  EXPECT_FALSE(already_copied(map, relation, change_of(integer(1)), 1));
  EXPECT_EQ(map.newest(), 100u);
}

TEST(ChunkMap, AnEmptyTableIsOneChunk) {
  ChunkMap map;
  map.add("t", {}, 0);
  EXPECT_TRUE(already_copied(map, relation, change_of(integer(1)), 0));
  EXPECT_FALSE(already_copied(map, relation, change_of(integer(1)), 1));
}

// --- the rule as a whole, against what it is for ---

using Table = std::map<Row, Row, KeyOrder>;  // whole rows by key

struct Written {
  std::uint64_t sequence;
  Change change;
};

// A source whose shadow moves from position to position while chunks are read out of it.
class Source {
 public:
  explicit Source(Seeded& random) : random_(random) {
    for (std::size_t rows = random_.below(30); rows > 0; --rows) set(key());
  }
  void commit() {
    ++sequence_;
    std::set<Row, KeyOrder> seen;  // a key appears once in a cut
    for (std::size_t changes = 1 + random_.below(5); changes > 0; --changes) {
      Row wanted = key();
      if (!seen.insert(wanted).second) continue;
      auto found = shadow_.find(wanted);
      if (found == shadow_.end()) {
        stream_.push_back({sequence_, {Operation::insert, 1, set(wanted), {}, {}}});
      } else if (random_.one_in(3)) {
        stream_.push_back({sequence_, {Operation::remove, 1, found->second, {}, {}}});
        shadow_.erase(found);
      } else {
        stream_.push_back({sequence_, {Operation::update, 1, set(wanted), {}, {}}});
      }
    }
  }
  // The rows after `after`, and the key up to which they are all there are; empty at the end.
  std::pair<std::vector<Row>, Row> chunk(const Row& after) {
    std::vector<Row> rows;
    auto at = after.empty() ? shadow_.begin() : shadow_.upper_bound(after);
    std::size_t most = 1 + random_.below(6);
    for (; at != shadow_.end() && rows.size() < most; ++at) rows.push_back(at->second);
    return {rows, rows.size() == most ? Row{rows.back()[1]} : Row{}};
  }
  std::uint64_t sequence() const { return sequence_; }
  const Table& shadow() const { return shadow_; }
  const std::vector<Written>& stream() const { return stream_; }

 private:
  Row key() {
    std::int64_t number = static_cast<std::int64_t>(random_.below(40));
    if (random_.one_in(3)) return {static_cast<double>(number) + 0.5};
    if (random_.one_in(3)) return {std::to_string(number)};
    return {number};
  }
  const Row& set(const Row& key) {
    return shadow_[key] = {static_cast<std::int64_t>(random_.bits()), key[0]};
  }

  Seeded& random_;
  Table shadow_;
  std::vector<Written> stream_;
  std::uint64_t sequence_ = 0;
};

struct Copied {
  Row up_to;
  std::uint64_t sequence;
};

// Loads all chunks while the source goes on; a crash loses at most the chunk that was being written.
std::vector<Copied> load(Source& source, Seeded& random, Table& target) {
  std::vector<Copied> chunks;
  for (Row after;;) {
    while (random.one_in(2)) source.commit();
    auto [rows, to] = source.chunk(after);
    auto at = source.sequence();
    while (random.one_in(3)) source.commit();
    if (random.one_in(6)) continue;  // the crash: nothing of it is in the target, so it is read again, later
    for (const Row& row : rows) target.emplace(Row{row[1]}, row);
    chunks.push_back({to, at});
    if (to.empty()) return chunks;
    after = to;
  }
}

ChunkMap map_of(const std::vector<Copied>& chunks) {
  ChunkMap map;
  for (const auto& chunk : chunks) map.add("t", chunk.up_to, chunk.sequence);
  return map;
}

TEST(ChunkMap, ChunksAndStreamTogetherGiveTheSource) {
  Seeded random;
  SCOPED_TRACE(random.told());
  for (int run = Seeded::rounds(1500); run > 0 && !testing::Test::HasFailure(); --run) {
    Source source(random);
    Table target;
    auto chunks = load(source, random, target);
    while (!random.one_in(4)) source.commit();
    ChunkMap copied = map_of(chunks);
    for (const auto& [sequence, change] : source.stream()) {
      if (already_copied(copied, relation, change, sequence)) continue;
      Row key{change.row[1]};
      auto found = target.find(key);
      // What is not dropped fits the target exactly: nothing is inserted twice or removed before it was
      // there.
      ASSERT_EQ(found == target.end(), change.operation == Operation::insert) << "at " << sequence;
      if (change.operation == Operation::remove) {
        target.erase(key);
      } else {
        target[key] = change.row;
      }
    }
    testing_support::expect_same_rows(target, source.shadow(), "target");
  }
}

}  // namespace
}  // namespace tidegate
