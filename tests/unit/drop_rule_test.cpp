// The drop rule for a Postgres source as a whole: chunks of many rounds and the stream together give the
// source, whatever was read when. Wrong rules are shown to fail the same test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "apply/chunk_map.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

// Nothing of the change is left to apply.
bool already_copied(const ChunkMap& map, const Relation& relation, const Change& change, std::uint64_t at) {
  return !map.unseen(relation, change, at).change;
}

using testing::ElementsAre;
using testing::IsEmpty;
using testing_support::Seeded;
using namespace std::string_literals;

const Relation relation{1, "t", {"v", "k"}, {1}};

Row key(int number) {
  return {std::to_string(number)};
}
Row row(int number, const std::string& value) {
  return {value, std::to_string(number)};
}
// An update that changes the key; `before` as the default identity sends it.
Change moved(int from, int to, const std::string& value) {
  Change change{Operation::update, 1, row(to, value), {}, {}};
  change.before = {Null{}, std::to_string(from)};
  return change;
}

// Keys up to 9 were read at 100, up to 100 at 200, the others at 300.
ChunkMap three_chunks() {
  ChunkMap map;
  map.set_key("t", {"k"}, {KeyOrder::integer});
  map.add_before("t", key(9), 100);
  map.add_before("t", key(100), 200);
  map.add_before("t", {}, 300);
  return map;
}

TEST(DropRule, ComparesAsTheSourceDoes) {
  ChunkMap map = three_chunks();
  auto copied = [&](int number, std::uint64_t at) {
    return already_copied(map, relation, {Operation::insert, 1, row(number, ""), {}, {}}, at);
  };
  EXPECT_TRUE(copied(-5, 99));
  EXPECT_FALSE(copied(-5, 100));  // what begins to commit at the consistent point is not in the snapshot
  EXPECT_TRUE(copied(9, 99));
  EXPECT_TRUE(copied(10, 100));  // not between "1" and "9"
  EXPECT_TRUE(copied(100, 199));
  EXPECT_FALSE(copied(100, 200));
  EXPECT_TRUE(copied(101, 299));
  EXPECT_EQ(map.newest(), 300u);
}

TEST(DropRule, AKeyChangeIsTwoHalves) {
  ChunkMap map = three_chunks();
  auto of = [&](const Change& change, std::uint64_t at) { return map.unseen(relation, change, at).change; };
  Change change = moved(50, 5, "v");
  EXPECT_FALSE(of(change, 99));
  EXPECT_EQ(of(change, 200), change);
  Change arrived{Operation::insert, 1, row(5, "v"), {}, {}};
  EXPECT_EQ(of(change, 150), arrived);  // the old key's chunk did not show it any more
  Change left{Operation::remove, 1, {Null{}, "50"s}, {}, {}};
  EXPECT_EQ(of(moved(50, 500, "v"), 250), left);
  change.absent = {0};
  change.row[0] = Null{};
  Change partly = change;
  partly.before.clear();
  EXPECT_EQ(of(change, 150), partly);  // to be read again: an insert would lose what was not sent
}

TEST(DropRule, ATruncateRemovesWhatWasReadBeforeIt) {
  ChunkMap map = three_chunks();
  Change truncate{Operation::truncate, 1, {}, {}, {}};
  auto all = map.unseen(relation, truncate, 300);
  EXPECT_EQ(all.change, truncate);
  EXPECT_THAT(all.ranges, IsEmpty());
  auto some = map.unseen(relation, truncate, 200);
  EXPECT_FALSE(some.change);
  EXPECT_THAT(some.ranges, ElementsAre(KeyRange{{}, key(9)}, KeyRange{key(9), key(100)}));
  auto none = map.unseen(relation, truncate, 99);
  EXPECT_FALSE(none.change);
  EXPECT_THAT(none.ranges, IsEmpty());
}

TEST(DropRule, ATableThatWasReadAtOnceNeedsNoKey) {
  ChunkMap map;
  map.add_before("t", {}, 100);
  Relation whole{1, "t", {"v"}, {}};
  Change change{Operation::update, 1, {"a"s}, {}, {}};
  change.before = {"b"s};
  EXPECT_FALSE(map.unseen(whole, change, 99).change);
  EXPECT_EQ(map.unseen(whole, change, 100).change, change);
}

TEST(DropRule, KeysOfManyPartsAndTexts) {
  Relation pairs{1, "t", {"a", "b"}, {1, 0}};
  ChunkMap map;
  map.set_key("t", {"b", "a"}, {KeyOrder::bytes, KeyOrder::integer});
  map.add_before("t", {"a"s, "10"s}, 100);
  map.add_before("t", {}, 200);
  auto copied = [&](const std::string& b, int a) {
    return already_copied(map, pairs, {Operation::insert, 1, {std::to_string(a), b}, {}, {}}, 150);
  };
  EXPECT_FALSE(copied("a", 9));
  EXPECT_FALSE(copied("a", 10));
  EXPECT_TRUE(copied("a", 11));
  EXPECT_FALSE(copied("Z", 99));
  EXPECT_TRUE(copied("\xc3\xa4", 1));  // bytes are unsigned
}

TEST(DropRule, AColumnThatIsGoneIsNamed) {
  Relation other{1, "t", {"v", "renamed"}, {1}};
  EXPECT_THROW(already_copied(three_chunks(), other, {Operation::insert, 1, row(1, ""), {}, {}}, 250),
               std::invalid_argument);
}

// --- the rule as a whole, against what it is for ---

using Table = std::map<int, std::string>;

struct Committed {
  std::uint64_t at;
  std::vector<Change> changes;
};

class Source {
 public:
  explicit Source(Seeded& random) : random_(random) {
    for (std::size_t rows = random_.below(30); rows > 0; --rows) rows_[any_key()] = value();
  }
  // A commit record that begins at now(); the next position is behind it.
  void commit() {
    Committed transaction{now_, {}};
    for (std::size_t changes = 1 + random_.below(4); changes > 0; --changes) {
      change(transaction.changes);
    }
    stream_.push_back(std::move(transaction));
    now_ += 1 + random_.below(3);
  }
  std::uint64_t now() const { return now_; }
  const Table& rows() const { return rows_; }
  const std::vector<Committed>& stream() const { return stream_; }

 private:
  int any_key() { return static_cast<int>(random_.below(40)) - 8; }
  std::string value() { return std::to_string(random_.bits()); }

  void change(std::vector<Change>& changes) {
    int one = any_key(), other = any_key();
    if (random_.one_in(30)) {
      changes.push_back({Operation::truncate, 1, {}, {}, {}});
      rows_.clear();
    } else if (!rows_.contains(one)) {
      rows_[one] = value();
      changes.push_back({Operation::insert, 1, row(one, rows_[one]), {}, {}});
    } else if (random_.one_in(3)) {
      rows_.erase(one);
      changes.push_back({Operation::remove, 1, {Null{}, std::to_string(one)}, {}, {}});
    } else if (random_.one_in(2) && !rows_.contains(other)) {
      rows_.erase(one);
      rows_[other] = value();
      changes.push_back(moved(one, other, rows_[other]));
    } else {
      rows_[one] = value();
      changes.push_back({Operation::update, 1, row(one, rows_[one]), {}, {}});
    }
  }

  Seeded& random_;
  Table rows_;
  std::vector<Committed> stream_;
  std::uint64_t now_ = 1000;
};

// Chunks in any order, many of them in one round; between rounds, and while they are copied, the source goes
// on. A crash loses the chunk that was being written, and the round.
std::map<int, std::uint64_t> load(Source& source, Seeded& random, const std::vector<int>& bounds,
                                  Table& target) {
  std::map<int, std::uint64_t> marks;  // by the chunk's last key
  while (marks.size() < bounds.size()) {
    Table snapshot = source.rows();
    std::uint64_t consistent_point = source.now();
    for (std::size_t tries = 1 + random.below(4); tries > 0 && !random.one_in(8); --tries) {
      while (random.one_in(2)) source.commit();
      std::size_t number = random.below(bounds.size());
      if (marks.contains(bounds[number])) continue;
      int after = number == 0 ? std::numeric_limits<int>::min() : bounds[number - 1];
      for (const auto& [key, value] : snapshot) {
        if (key > after && key <= bounds[number]) target[key] = value;
      }
      marks[bounds[number]] = consistent_point;
    }
    while (random.one_in(2)) source.commit();
  }
  return marks;
}

std::vector<int> random_bounds(Seeded& random) {
  std::set<int> bounds{std::numeric_limits<int>::max()};
  for (std::size_t count = random.below(5); count > 0; --count)
    bounds.insert(static_cast<int>(random.below(36)) - 6);
  return {bounds.begin(), bounds.end()};
}

ChunkMap map_of(const std::map<int, std::uint64_t>& marks, std::uint64_t shift = 0) {
  ChunkMap map;
  map.set_key("t", {"k"}, {KeyOrder::integer});
  for (const auto& [up_to, mark] : marks) {
    map.add_before("t", up_to == std::numeric_limits<int>::max() ? Row{} : key(up_to), mark + shift);
  }
  return map;
}

int number_of(const Value& value) {
  return std::stoi(std::get<std::string>(value));
}

// As a target would: exactly what is not there is inserted, exactly what is there is changed or removed.
bool take(const Change& change, Table& target) {
  if (change.operation == Operation::truncate) {
    target.clear();
    return true;
  }
  int found = number_of((change.before.empty() ? change.row : change.before)[1]);
  bool insert = change.operation == Operation::insert;
  if (target.contains(found) == insert) return false;
  target.erase(found);
  if (change.operation == Operation::remove) return true;
  return target.emplace(number_of(change.row[1]), std::get<std::string>(change.row[0])).second;
}

void remove(const KeyRange& range, Table& target) {
  std::erase_if(target, [&](const auto& entry) {
    return (range.after.empty() || entry.first > number_of(range.after[0])) &&
           (range.up_to.empty() || entry.first <= number_of(range.up_to[0]));
  });
}

using Rule = std::function<ChunkMap::Unseen(const ChunkMap&, const Change&, std::uint64_t at)>;

// Did chunks and stream together give the source?
bool comes_out_right(Seeded& random, const Rule& rule, std::uint64_t shift = 0) {
  Source source(random);
  Table target;
  auto marks = load(source, random, random_bounds(random), target);
  while (!random.one_in(4)) source.commit();
  ChunkMap map = map_of(marks, shift);
  for (const auto& transaction : source.stream()) {
    for (const Change& change : transaction.changes) {
      auto unseen = rule(map, change, transaction.at);
      for (const auto& range : unseen.ranges) remove(range, target);
      if (unseen.change && !take(*unseen.change, target)) return false;
    }
  }
  return target == source.rows();
}

ChunkMap::Unseen the_rule(const ChunkMap& map, const Change& change, std::uint64_t at) {
  return map.unseen(relation, change, at);
}

int wrong_ends(int runs, Seeded& random, const Rule& rule, std::uint64_t shift = 0) {
  int wrong = 0;
  for (; runs > 0; --runs) wrong += !comes_out_right(random, rule, shift);
  return wrong;
}

TEST(DropRule, ChunksOfManyRoundsAndTheStreamGiveTheSource) {
  Seeded random;
  SCOPED_TRACE(random.told());
  EXPECT_EQ(wrong_ends(Seeded::rounds(5000), random, the_rule), 0);
}

TEST(DropRule, WrongRulesComeOutWrong) {
  Seeded random;
  SCOPED_TRACE(random.told());
  constexpr int runs = 3000;
  // <= instead of <
  EXPECT_GT(wrong_ends(runs, random, the_rule, 1), 0);
  auto by_new_key = [](const ChunkMap& map, const Change& change, std::uint64_t at) {
    if (change.operation == Operation::truncate) return the_rule(map, change, at);
    bool copied = already_copied(map, relation, change, at);
    return copied ? ChunkMap::Unseen{} : ChunkMap::Unseen{change, {}};
  };
  EXPECT_GT(wrong_ends(runs, random, by_new_key), 0);
  auto truncate_whole = [](const ChunkMap& map, const Change& change, std::uint64_t at) {
    return change.operation == Operation::truncate ? ChunkMap::Unseen{change, {}} : the_rule(map, change, at);
  };
  EXPECT_GT(wrong_ends(runs, random, truncate_whole), 0);
  auto by_newest = [](const ChunkMap& map, const Change& change, std::uint64_t at) {
    return at < map.newest() ? ChunkMap::Unseen{} : ChunkMap::Unseen{change, {}};
  };
  EXPECT_GT(wrong_ends(runs, random, by_newest), 0);
}

}  // namespace
}  // namespace tidegate
