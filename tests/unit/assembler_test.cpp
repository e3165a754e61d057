#include "capture/postgres/assembler.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "db/error.hpp"
#include "support/pgoutput_bytes.hpp"
#include "support/scratch.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

namespace bytes = testing_support;
using testing::ElementsAre;
using testing::IsEmpty;

class Rig : public Assembly {
 public:
  explicit Rig(AssemblerOptions options = {}) : assembler(options, spool, *this) {}

  void take(const std::vector<std::string>& messages) {
    for (const auto& message : messages) assembler.take(message);
  }
  void part(const TransactionPart& part) override { parts.push_back(part); }
  void committed(const CommittedTransaction& transaction) override { commits.push_back(transaction); }
  void message(const pgoutput::LogicalMessage& message) override { messages.push_back(message.content); }
  Relation relation(const RelationShape& shape) override {
    last[shape.oid] = shape;
    auto id = ids.emplace(encode(shape), ids.size() + 1).first->second;
    return relation_of(shape, static_cast<std::uint32_t>(id), key_order);
  }
  std::optional<RelationShape> last_shape(pgoutput::Oid oid) override {
    auto found = last.find(oid);
    return found == last.end() ? std::nullopt : std::optional(found->second);
  }
  void relation_changed(const RelationChanged& change) override { changed.push_back(change); }

  // Every change of every part as "operation table new-row", a transaction's in brackets.
  std::string told() const {
    std::string out;
    for (const auto& part : parts) {
      out += part.first ? "[" : "";
      for (const auto& change : part.changes) out += told(part, change) + " ";
      out += part.last ? "]" : "";
    }
    return out;
  }

  testing_support::Scratch scratch;
  Spool spool{scratch.file("spool")};
  std::vector<TransactionPart> parts;
  std::vector<CommittedTransaction> commits;
  std::vector<std::string> messages;
  std::vector<RelationChanged> changed;
  std::map<std::string, std::size_t> ids;
  std::map<pgoutput::Oid, RelationShape> last;
  std::vector<std::string> key_order;
  Assembler assembler;

 private:
  static std::string told(const TransactionPart& part, const Change& change) {
    constexpr const char* signs[] = {"+", "~", "-", "!"};
    for (const auto& relation : part.relations) {
      if (relation.id != change.relation) continue;
      return signs[static_cast<int>(change.operation)] + relation.table.substr(7) +
             (change.row.empty() ? "" : std::get<std::string>(change.row[0]));
    }
    return "a relation that the part does not name";
  }
};

const std::string table_t = bytes::relation(1, "t", 'd', {{"id", true}, {"x"}, {"y"}});

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.advice(), Advice::stop);
    return error.what();
  }
  return "nothing was thrown";
}

std::string put(const std::string& id, bytes::Xid xid = {}) {
  return bytes::insert(1, {"t" + id, "n", "n"}, xid);
}

TEST(Assembler, AWholeTransaction) {
  Rig rig;
  rig.take({bytes::begin(100, 7), bytes::origin("far"), table_t, put("1"),
            bytes::removal(1, 'K', {"t2", "n", "n"}), bytes::truncation({1}, 2), bytes::commit(100, 110)});
  ASSERT_EQ(rig.parts.size(), 1u);
  const auto& part = rig.parts[0];
  EXPECT_EQ(part.transaction, 1u);
  EXPECT_TRUE(part.first && part.last);
  EXPECT_EQ(part.commit_time_us, 946684800000005);
  EXPECT_EQ(*part.stamp, (SourceStamp{100, 110, 7, "far"}));
  EXPECT_THAT(part.relations, ElementsAre(Relation{1, "public.t", {"id", "x", "y"}, {0}}));
  EXPECT_EQ(rig.told(), "[+t1 -t2 !t ]");
  EXPECT_TRUE(part.changes[2].restart_sequences);
  EXPECT_TRUE(rig.assembler.idle());
}

TEST(Assembler, KeysThatChangeAndKeysThatDoNot) {
  Rig rig;
  rig.take({bytes::begin(100, 7), table_t, bytes::update(1, {"t1", "u", "tb"}),
            bytes::update(1, 'K', {"t1", "n", "n"}, {"t2", "ta", "u"}),
            bytes::update(1, 'K', {"t3", "n", "n"}, {"t3", "ta", "tb"}),
            bytes::update(1, 'K', {"tlong", "n", "n"}, {"u", "ta", "u"}), bytes::commit(100, 110)});
  const auto& changes = rig.parts[0].changes;
  EXPECT_EQ(changes[0].row, (Row{"1", Null(), "b"}));
  EXPECT_THAT(changes[0].absent, ElementsAre(1));
  EXPECT_THAT(changes[0].before, IsEmpty());
  EXPECT_EQ(changes[1].before, (Row{"1", Null(), Null()}));
  EXPECT_THAT(changes[1].absent, ElementsAre(2));
  EXPECT_THAT(changes[2].before, IsEmpty()) << "the key is what it was";
  EXPECT_EQ(changes[3].row, (Row{"long", "a", Null()})) << "an unchanged key comes with the old tuple";
  EXPECT_THAT(changes[3].absent, ElementsAre(2));
  EXPECT_THAT(changes[3].before, IsEmpty());
}

TEST(Assembler, IdentityFull) {
  Rig rig;
  rig.take({bytes::begin(100, 7), bytes::relation(1, "t", 'f', {{"id", true}, {"x", true}}),
            bytes::update(1, 'O', {"t1", "told"}, {"t1", "u"}), bytes::removal(1, 'O', {"t1", "n"}),
            bytes::commit(100, 110)});
  EXPECT_THAT(rig.parts[0].relations[0].key, IsEmpty());
  const auto& changes = rig.parts[0].changes;
  EXPECT_EQ(changes[0].before, (Row{"1", "old"}));
  EXPECT_EQ(changes[0].row, (Row{"1", "old"}));
  EXPECT_THAT(changes[0].absent, IsEmpty());
  EXPECT_EQ(changes[1].row, (Row{"1", Null()}));
}

// A partition's key columns need not be those of its root, which is what is described.
TEST(Assembler, AKeyOfOtherColumnsIsToldOnceForEachDescription) {
  Rig rig;
  rig.take({bytes::begin(100, 7), table_t, bytes::update(1, 'K', {"n", "ta", "n"}, {"t2", "tb", "tc"}),
            bytes::removal(1, 'K', {"n", "ta", "n"}), bytes::commit(100, 110)});
  ASSERT_EQ(rig.changed.size(), 1u);
  EXPECT_EQ(rig.changed[0].before.identity, 'd');
  EXPECT_EQ(rig.changed[0].now.identity, 'n');
  rig.take({bytes::begin(110, 8), table_t, bytes::removal(1, 'K', {"t1", "n", "n"}),
            bytes::removal(1, 'K', {"n", "ta", "n"}), bytes::commit(110, 120)});
  EXPECT_EQ(rig.changed.size(), 2u);
}

TEST(Assembler, KeyOrderIsTheCallers) {
  Rig rig;
  rig.key_order = {"b", "a"};
  rig.take({bytes::begin(100, 7), bytes::relation(1, "t", 'd', {{"a", true}, {"x"}, {"b", true}}),
            bytes::insert(1, {"t1", "n", "t2"}), bytes::relation(2, "u", 'd', {{"id", true}, {"b"}}),
            bytes::insert(2, {"t1", "n"}), bytes::commit(100, 110)});
  EXPECT_THAT(rig.parts[0].relations[0].key, ElementsAre(2, 0));
  EXPECT_THAT(rig.parts[0].relations[1].key, ElementsAre(0))
      << "names that are not the identity's do not count";
}

TEST(Assembler, LongTransactionsComeInParts) {
  AssemblerOptions options;
  options.max_part_changes = 2;
  Rig rig(options);
  rig.take({bytes::begin(100, 7), table_t, put("1"), put("2"), put("3"), put("4"), bytes::commit(100, 110)});
  ASSERT_EQ(rig.parts.size(), 2u);
  EXPECT_EQ(rig.told(), "[+t1 +t2 +t3 +t4 ]");
  EXPECT_EQ(rig.parts[0].stamp->end_lsn, 0u);
  EXPECT_EQ(rig.parts[1].stamp->end_lsn, 110u);
  EXPECT_EQ(rig.parts[0].transaction, rig.parts[1].transaction);
  EXPECT_EQ(rig.commits.size(), 1u);
  options.max_part_changes = 1000;
  options.max_part_bytes = 1;
  Rig bytewise(options);
  bytewise.take({bytes::begin(100, 7), table_t, put("1"), put("2"), bytes::commit(100, 110)});
  EXPECT_EQ(bytewise.parts.size(), 2u);
}

TEST(Assembler, WhatIsHadIsDropped) {
  AssemblerOptions options;
  options.have = 110;
  options.last_transaction = 5;
  Rig rig(options);
  rig.take(
      {bytes::begin(100, 7), table_t, put("1"), bytes::logical(true, "p", "again"), bytes::commit(100, 110)});
  EXPECT_THAT(rig.parts, IsEmpty());
  EXPECT_THAT(rig.messages, ElementsAre("again"));
  rig.take({bytes::begin(110, 8), put("2"), bytes::commit(110, 120)});
  EXPECT_EQ(rig.told(), "[+t2 ]")
      << "begins where the last one ended; the relation is known from the one dropped";
  EXPECT_EQ(rig.parts[0].transaction, 6u);
}

TEST(Assembler, MarkedTransactionsAreSkipped) {
  AssemblerOptions options;
  options.skip_prefix = "tidegate";
  options.skip_content = "applies p";
  Rig rig(options);
  const auto mark = bytes::logical(true, "tidegate", "applies p");
  rig.take({bytes::begin(100, 7), mark, table_t, put("1"), bytes::commit(100, 110)});
  EXPECT_THAT(rig.parts, IsEmpty());
  ASSERT_EQ(rig.commits.size(), 1u);
  EXPECT_EQ(rig.commits[0].transaction, 0u);
  EXPECT_EQ(rig.commits[0].stamp.end_lsn, 110u) << "the slot moves on";
  rig.take({bytes::begin(120, 8), bytes::logical(true, "tidegate", "applies q"), put("2"),
            bytes::commit(120, 130)});
  rig.take({bytes::begin(140, 9), put("3"), mark, put("4"), bytes::commit(140, 150)});
  rig.take(
      {bytes::begin(160, 10), bytes::logical(true, "other", "applies p"), put("5"), bytes::commit(160, 170)});
  EXPECT_EQ(rig.told(), "[+t2 ][+t3 +t4 ][+t5 ]") << "only with its first words, and ours alone";
  EXPECT_EQ(rig.parts[0].transaction, 1u);
}

TEST(Assembler, EmptyTransactionsMakeNoPart) {
  Rig rig;
  rig.take({bytes::begin(100, 7), bytes::logical(true, "p", "nonce"), bytes::commit(100, 110),
            bytes::logical(false, "p", "outside")});
  EXPECT_THAT(rig.parts, IsEmpty());
  ASSERT_EQ(rig.commits.size(), 1u);
  EXPECT_EQ(rig.commits[0].transaction, 0u);
  EXPECT_EQ(rig.commits[0].stamp.end_lsn, 110u);
  EXPECT_THAT(rig.messages, ElementsAre("nonce", "outside"));
}

TEST(Assembler, StreamsInterleaveAndComeInCommitOrder) {
  Rig rig;
  auto in = [](std::uint32_t xid) { return bytes::relation(1, "t", 'd', {{"id", true}, {"x"}, {"y"}}, xid); };
  rig.take({bytes::stream_start(7, true), in(7), put("1", 7), bytes::stream_stop(),
            bytes::stream_start(8, true), bytes::origin("far"), in(8), put("2", 8), bytes::stream_stop(),
            bytes::stream_start(7, false), put("3", 7), bytes::stream_stop()});
  EXPECT_TRUE(rig.assembler.idle());
  EXPECT_GT(rig.spool.bytes(), 0u);
  rig.take({bytes::begin(50, 9), table_t, put("9"), bytes::commit(50, 60), bytes::stream_commit(8, 100, 110),
            bytes::stream_commit(7, 120, 130)});
  EXPECT_EQ(rig.told(), "[+t9 ][+t2 ][+t1 +t3 ]");
  EXPECT_EQ(*rig.parts[1].stamp, (SourceStamp{100, 110, 8, "far"}));
  EXPECT_EQ(*rig.parts[2].stamp, (SourceStamp{120, 130, 7, ""}));
  EXPECT_EQ(rig.spool.bytes(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(rig.scratch.file("spool")));
}

TEST(Assembler, AbortedSubtransactionsVanishButTheirRelationsStay) {
  Rig rig;
  rig.take({bytes::stream_start(7, true), bytes::relation(1, "t", 'd', {{"id", true}, {"x"}, {"y"}}, 8),
            put("1", 8), put("2", 7), put("3", 9), bytes::logical(true, "p", "lost", 8), bytes::stream_stop(),
            bytes::stream_abort(7, 8), bytes::stream_start(7, false), put("4", 7),
            bytes::logical(true, "p", "kept", 7), bytes::stream_stop(), bytes::stream_commit(7, 100, 110)});
  EXPECT_EQ(rig.told(), "[+t2 +t3 +t4 ]");
  EXPECT_THAT(rig.messages, ElementsAre("kept"));
}

TEST(Assembler, AnAbortedStreamLeavesNothing) {
  Rig rig;
  rig.take({bytes::stream_start(7, true), bytes::relation(1, "t", 'd', {{"id", true}, {"x"}, {"y"}}, 7),
            put("1", 7), bytes::stream_stop(), bytes::stream_abort(7, 7), bytes::begin(100, 8)});
  EXPECT_THAT(refusal([&] { rig.take({put("1")}); }), testing::HasSubstr("was not described"));
  EXPECT_THAT(rig.parts, IsEmpty());
  EXPECT_EQ(rig.spool.bytes(), 0u);
}

// The server describes a table once for a streamed transaction, and takes it as described to all at its
// commit.
TEST(Assembler, AStreamsRelationsAreItsOwnUntilItsCommit) {
  Rig rig;
  auto wide = [](bytes::Xid xid) {
    return bytes::relation(1, "t", 'd', {{"id", true}, {"x"}, {"y"}, {"z"}}, xid);
  };
  rig.take({bytes::begin(10, 5), table_t, put("0"), bytes::commit(10, 20), bytes::stream_start(7, true),
            wide(7), bytes::insert(1, {"t1", "n", "n", "tz"}, 7), bytes::stream_stop(), bytes::begin(30, 6),
            put("2"), bytes::commit(30, 40), bytes::stream_commit(7, 50, 60), bytes::begin(70, 8),
            bytes::insert(1, {"t3", "n", "n", "n"}), bytes::commit(70, 80)});
  EXPECT_EQ(rig.told(), "[+t0 ][+t2 ][+t1 ][+t3 ]");
  ASSERT_EQ(rig.changed.size(), 1u);
  EXPECT_EQ(rig.changed[0].now.columns.size(), 4u);
  // A description that came later than the stream's is not undone by its commit.
  rig.take({bytes::stream_start(9, true), wide(9), bytes::insert(1, {"t4", "n", "n", "n"}, 9),
            bytes::stream_stop(), bytes::begin(90, 10), table_t, put("5"), bytes::commit(90, 95),
            bytes::stream_commit(9, 100, 110), bytes::begin(120, 11), put("6"), bytes::commit(120, 130)});
  EXPECT_EQ(rig.told(), "[+t0 ][+t2 ][+t1 ][+t3 ][+t5 ][+t4 ][+t6 ]");
}

TEST(Assembler, StreamsThatAreHadAreDropped) {
  AssemblerOptions options;
  options.have = 110;
  Rig rig(options);
  rig.take({bytes::stream_start(7, true), bytes::relation(1, "t", 'd', {{"id", true}, {"x"}, {"y"}}, 7),
            put("1", 7), bytes::stream_stop(), bytes::stream_commit(7, 100, 110)});
  EXPECT_THAT(rig.parts, IsEmpty());
  EXPECT_EQ(rig.spool.bytes(), 0u);
  EXPECT_THAT(refusal([&] { rig.take({bytes::stream_commit(8, 200, 210)}); }),
              testing::HasSubstr("were not sent"));
}

TEST(Assembler, PreparedTransactionsWaitForTheirCommit) {
  Rig rig;
  rig.take({bytes::begin_prepare(7, 100), table_t, put("1"), bytes::prepare('P', 7, 100)});
  EXPECT_EQ(rig.assembler.held_lsn(), 100u);
  EXPECT_TRUE(rig.assembler.idle());
  rig.take({bytes::stream_start(8, true), bytes::relation(1, "t", 'd', {{"id", true}, {"x"}, {"y"}}, 8),
            put("2", 8), bytes::stream_stop(), bytes::prepare('p', 8, 120), bytes::begin_prepare(9, 130),
            put("3"), bytes::prepare('P', 9, 130), bytes::begin(140, 10), put("4"), bytes::commit(140, 150)});
  EXPECT_EQ(rig.assembler.held_lsn(), 100u);
  rig.take({bytes::commit_prepared(7, 160)});
  EXPECT_EQ(rig.assembler.held_lsn(), 120u);
  rig.take({bytes::rollback_prepared(9, 131), bytes::commit_prepared(8, 180)});
  EXPECT_EQ(rig.assembler.held_lsn(), std::nullopt);
  EXPECT_EQ(rig.told(), "[+t4 ][+t1 ][+t2 ]");
  EXPECT_EQ(*rig.parts[1].stamp, (SourceStamp{160, 161, 7, ""}));
  EXPECT_EQ(rig.spool.bytes(), 0u);
}

// A keepalive's position counts only then: within a transaction it may lie behind what is still to come.
TEST(Assembler, IsIdleBetweenTransactionsOnly) {
  Rig rig;
  const auto after = [&](const std::string& message) {
    rig.take({message});
    return rig.assembler.idle();
  };
  EXPECT_TRUE(rig.assembler.idle());
  EXPECT_FALSE(after(bytes::begin(100, 7)));
  EXPECT_FALSE(after(table_t));
  EXPECT_FALSE(after(put("1")));
  EXPECT_TRUE(after(bytes::commit(100, 110)));
  EXPECT_FALSE(after(bytes::stream_start(8, true)));
  EXPECT_TRUE(after(bytes::stream_stop())) << "it comes again from its beginning";
  EXPECT_FALSE(after(bytes::begin_prepare(9, 120)));
  EXPECT_FALSE(after(put("2")));
  EXPECT_TRUE(after(bytes::prepare('P', 9, 120))) << "held_lsn() holds it back";
}

TEST(Assembler, AShapeHasItsIdForEver) {
  Rig rig;
  auto wide = bytes::relation(1, "t", 'd', {{"id", true}, {"x"}, {"y"}, {"z"}});
  auto insert_wide = bytes::insert(1, {"t2", "n", "n", "n"});
  rig.take({bytes::begin(10, 5), table_t, put("1"), wide, insert_wide, table_t, put("3"), table_t, put("4"),
            bytes::commit(10, 20)});
  std::vector<std::uint32_t> ids;
  for (const auto& change : rig.parts[0].changes) ids.push_back(change.relation);
  EXPECT_THAT(ids, ElementsAre(1, 2, 1, 1));
  EXPECT_EQ(rig.changed.size(), 2u) << "there and back";
  EXPECT_EQ(rig.parts[0].relations.size(), 2u);
  auto other_type = bytes::relation(1, "t", 'd', {{"id", true, 23}, {"x"}, {"y"}});
  rig.take({bytes::begin(30, 6), other_type, put("5"), bytes::commit(30, 40)});
  EXPECT_EQ(rig.parts[1].changes[0].relation, 3u);
  EXPECT_EQ(decode_shape(encode(rig.changed[2].now)), rig.changed[2].now);
  EXPECT_THROW(decode_shape("nonsense"), std::invalid_argument);
}

TEST(Assembler, DisorderIsRefused) {
  auto refused = [](const std::vector<std::string>& messages) {
    Rig rig;
    return refusal([&] { rig.take(messages); });
  };
  using testing::HasSubstr;
  EXPECT_THAT(refused({put("1")}), HasSubstr("outside of a transaction"));
  EXPECT_THAT(refused({bytes::commit(1, 2)}), HasSubstr("another transaction"));
  EXPECT_THAT(refused({bytes::begin(1, 2), bytes::commit(3, 4)}), HasSubstr("another transaction"));
  EXPECT_THAT(refused({bytes::begin(1, 2), bytes::begin(3, 4)}), HasSubstr("within another"));
  EXPECT_THAT(refused({bytes::begin(1, 2), bytes::stream_start(3, true)}), HasSubstr("within a transaction"));
  EXPECT_THAT(refused({bytes::stream_stop()}), HasSubstr("did not begin"));
  EXPECT_THAT(refused({bytes::stream_start(3, true), bytes::begin(1, 2)}),
              HasSubstr("cannot come in a stream"));
  EXPECT_THAT(refused({bytes::begin(1, 2), table_t, bytes::insert(1, {"tsecret"})}),
              HasSubstr("1 values for the 3 columns of table public.t"));
  EXPECT_THAT(refused({bytes::begin_prepare(1, 2), bytes::commit(1, 2)}), HasSubstr("being prepared"));
}

TEST(Spool, FilesArePrivateAndDoNotOutliveTheirRun) {
  testing_support::Scratch scratch;
  std::string folder = scratch.file("spool"), file = folder + "/7.spool";
  {
    Spool spool(folder);
    spool.append(7, 7, "abc", false);
    spool.rest();
    struct stat facts {};
    ASSERT_EQ(stat(file.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600u);
    ASSERT_EQ(stat(folder.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0700u);
    std::filesystem::copy_file(file, folder + "/8.spool");
  }
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_TRUE(std::filesystem::exists(folder + "/8.spool"));
  Spool again(folder);
  EXPECT_FALSE(std::filesystem::exists(folder + "/8.spool"));
}

// Subtransactions that are aborted send nothing more.
TEST(Spool, ReadsBackWhatWasNotAborted) {
  testing_support::Scratch scratch;
  testing_support::Seeded seeded;
  SCOPED_TRACE(seeded.told());
  Spool spool(scratch.file("spool"));
  struct Message {
    std::uint32_t subtransaction;
    bool kept;
    std::string bytes;
  };
  std::map<std::uint32_t, std::vector<Message>> model;
  std::uint32_t oldest = 10;
  for (int i = 0; i < 3000; ++i) {
    auto top = static_cast<std::uint32_t>(1 + seeded.below(3));
    auto sub = oldest + static_cast<std::uint32_t>(seeded.below(20));
    std::string bytes(seeded.one_in(100) ? 300000 : seeded.below(400), static_cast<char>(seeded.below(256)));
    Message message{sub, seeded.one_in(10), bytes};
    spool.append(top, sub, bytes, message.kept);
    model[top].push_back(message);
    if (seeded.one_in(20)) spool.rest();
    if (!seeded.one_in(40)) continue;
    for (auto& [transaction, messages] : model) {
      spool.abort(transaction, oldest);
      std::erase_if(messages, [&](const Message& it) { return it.subtransaction == oldest && !it.kept; });
    }
    ++oldest;
  }
  for (const auto& [top, messages] : model) {
    std::size_t at = 0;
    spool.read(top, [&](std::string_view bytes) {
      ASSERT_LT(at, messages.size());
      EXPECT_TRUE(bytes == messages[at].bytes) << "message " << at;
      ++at;
    });
    EXPECT_EQ(at, messages.size());
    spool.remove(top);
  }
  EXPECT_EQ(spool.bytes(), 0u);
}

}  // namespace
}  // namespace tidegate
