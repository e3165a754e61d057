#include "capture/postgres/pgoutput.hpp"

#include <gmock/gmock.h>

#include "db/error.hpp"
#include "support/pgoutput_bytes.hpp"
#include "support/seeded.hpp"

namespace tidegate::pgoutput {
namespace {

namespace bytes = testing_support;
using bytes::PgoutputBytes;
using testing::HasSubstr;

constexpr std::int64_t epoch_2000_us = 946684800000000;

template <typename Kind>
Kind decoded(const std::string& message, bool in_stream = false) {
  auto found = decode(message, in_stream);
  EXPECT_TRUE(std::holds_alternative<Kind>(found)) << "alternative " << found.index();
  return std::get<Kind>(found);
}

std::string refusal(const std::string& message, bool in_stream = false) {
  try {
    decode(message, in_stream);
  } catch (const Error& error) {
    EXPECT_EQ(error.advice(), Advice::stop);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Pgoutput, Relation) {
  auto relation =
      decoded<Relation>(bytes::relation(16384, "Weird.\"name", 'i', {{"id", true, 23}, {"x", false, 25}}));
  EXPECT_EQ(relation.oid, 16384u);
  EXPECT_EQ(relation.xid, 0u);
  EXPECT_EQ(relation.schema, "public");
  EXPECT_EQ(relation.table, "Weird.\"name");
  EXPECT_EQ(relation.identity, 'i');
  EXPECT_EQ(relation.columns, (std::vector<RelationColumn>{{true, "id", 23, -1}, {false, "x", 25, -1}}));
  auto catalog = PgoutputBytes('R').u32(1).text("").text("pg_x").u8('f').u16(0);
  EXPECT_EQ(decoded<Relation>(catalog).schema, "pg_catalog");
  EXPECT_EQ(decoded<Relation>(bytes::relation(1, "t", 'd', {}, 77), true).xid, 77u);
}

TEST(Pgoutput, TypeOriginAndMessage) {
  auto type = decoded<Type>(PgoutputBytes('Y').u32(9).text("app").text("mood"));
  EXPECT_EQ(type.oid, 9u);
  EXPECT_EQ(type.schema + "." + type.name, "app.mood");
  EXPECT_EQ(decoded<Origin>(bytes::origin("elsewhere")).name, "elsewhere");
  EXPECT_EQ(decoded<Origin>(bytes::origin("elsewhere"), true).commit_lsn, 9u)
      << "has no transaction in a stream either";
  auto message = decoded<LogicalMessage>(bytes::logical(true, "tidegate", std::string("a\0b", 3)));
  EXPECT_TRUE(message.transactional);
  EXPECT_EQ(message.lsn, 77u);
  EXPECT_EQ(message.prefix, "tidegate");
  EXPECT_EQ(message.content, std::string("a\0b", 3));
  EXPECT_FALSE(decoded<LogicalMessage>(bytes::logical(false, "p", "")).transactional);
  EXPECT_EQ(decoded<LogicalMessage>(bytes::logical(true, "p", "c", 5), true).xid, 5u);
}

TEST(Pgoutput, BeginAndCommit) {
  auto begin = decoded<Begin>(bytes::begin(0x1600000001, 42, -7));
  EXPECT_EQ(begin.commit_lsn, 0x1600000001u);
  EXPECT_EQ(begin.commit_time_us, epoch_2000_us - 7);
  EXPECT_EQ(begin.xid, 42u);
  auto commit = decoded<Commit>(bytes::commit(1, 2, 3));
  EXPECT_EQ(commit.commit_lsn, 1u);
  EXPECT_EQ(commit.end_lsn, 2u);
  EXPECT_EQ(commit.commit_time_us, epoch_2000_us + 3);
}

TEST(Pgoutput, Rows) {
  auto insert = decoded<Insert>(bytes::insert(7, {"t1", "n", "t"}));
  EXPECT_EQ(insert.relation, 7u);
  EXPECT_EQ(insert.row.values, (Row{"1", Null(), ""}));
  auto plain = decoded<Update>(bytes::update(7, {"t1", "u", "tz"}));
  EXPECT_FALSE(plain.old);
  EXPECT_EQ(plain.row.values, (Row{"1", Null(), "z"}));
  EXPECT_EQ(plain.row.unchanged, std::vector<std::uint32_t>{1});
  auto keyed = decoded<Update>(bytes::update(7, 'K', {"t0", "n"}, {"t1", "n"}));
  EXPECT_FALSE(keyed.old->whole);
  EXPECT_EQ(keyed.old->tuple.values, (Row{"0", Null()}));
  EXPECT_TRUE(decoded<Update>(bytes::update(7, 'O', {"t0"}, {"t1"})).old->whole);
  EXPECT_FALSE(decoded<Delete>(bytes::removal(7, 'K', {"t0"})).old.whole);
  EXPECT_TRUE(decoded<Delete>(bytes::removal(7, 'O', {"t0"}, 3), true).old.whole);
  EXPECT_EQ(decoded<Insert>(bytes::insert(7, {}, 3), true).xid, 3u);
}

TEST(Pgoutput, Truncate) {
  auto both = decoded<Truncate>(bytes::truncation({1, 2}, 3));
  EXPECT_TRUE(both.cascade);
  EXPECT_TRUE(both.restart_sequences);
  EXPECT_EQ(both.relations, (std::vector<Oid>{1, 2}));
  EXPECT_FALSE(decoded<Truncate>(bytes::truncation({1}, 1)).restart_sequences);
  EXPECT_FALSE(decoded<Truncate>(bytes::truncation({1}, 2, 9), true).cascade);
}

TEST(Pgoutput, Streams) {
  EXPECT_TRUE(decoded<StreamStart>(bytes::stream_start(5, true)).first);
  EXPECT_EQ(decoded<StreamStart>(bytes::stream_start(5, false)).xid, 5u);
  decoded<StreamStop>(bytes::stream_stop(), true);
  auto commit = decoded<StreamCommit>(bytes::stream_commit(5, 6, 7));
  EXPECT_EQ(commit.xid, 5u);
  EXPECT_EQ(commit.commit_lsn, 6u);
  EXPECT_EQ(commit.end_lsn, 7u);
  auto abort = decoded<StreamAbort>(bytes::stream_abort(5, 6));
  EXPECT_EQ(abort.subtransaction, 6u);
  EXPECT_FALSE(abort.abort_lsn);
  auto parallel = decoded<StreamAbort>(PgoutputBytes('A').u32(5).u32(5).u64(8).u64(1));
  EXPECT_EQ(parallel.abort_lsn, Lsn{8});
  EXPECT_EQ(parallel.time_us, epoch_2000_us + 1);
}

TEST(Pgoutput, TwoPhases) {
  auto begin = decoded<BeginPrepare>(bytes::begin_prepare(5, 60));
  EXPECT_EQ(begin.prepare_lsn, 60u);
  EXPECT_EQ(begin.gid, "gid");
  EXPECT_EQ(decoded<Prepare>(bytes::prepare('P', 5, 60)).end_lsn, 61u);
  EXPECT_EQ(decoded<StreamPrepare>(bytes::prepare('p', 5, 60)).xid, 5u);
  EXPECT_EQ(decoded<CommitPrepared>(bytes::commit_prepared(5, 70)).commit_lsn, 70u);
  auto rollback = decoded<RollbackPrepared>(bytes::rollback_prepared(5, 61));
  EXPECT_EQ(rollback.prepare_end_lsn, 61u);
  EXPECT_EQ(rollback.rollback_end_lsn, 70u);
  EXPECT_EQ(rollback.xid, 5u);
}

TEST(Pgoutput, RefusalsNameTypeAndOffsetButNoValue) {
  EXPECT_THAT(refusal(""), HasSubstr("at offset 0"));
  EXPECT_THAT(refusal("?"), HasSubstr("unknown type"));
  EXPECT_THAT(refusal(std::string("\1", 1)), HasSubstr("0x01"));
  EXPECT_THAT(refusal(bytes::insert(7, {"bsecret"})), HasSubstr("'I' at offset 9: a binary value"));
  EXPECT_THAT(refusal(bytes::insert(7, {"bsecret"})), Not(HasSubstr("secret")));
  EXPECT_THAT(refusal(bytes::insert(7, {"u"})), HasSubstr("lacks values"));
  EXPECT_THAT(refusal(bytes::insert(7, {"xsecret"})), HasSubstr("unknown kind of value"));
  EXPECT_THAT(refusal(bytes::insert(7, {"t1"}) + "more"), HasSubstr("more bytes"));
  EXPECT_THAT(refusal(bytes::begin(1, 2), true), HasSubstr("cannot come in a stream"));
  EXPECT_THAT(refusal(PgoutputBytes('C').u8(1).u64(1).u64(1).u64(1)), HasSubstr("unknown flags"));
  EXPECT_THAT(refusal(PgoutputBytes('R').u32(1).text("a").text("b").u8('?').u16(0)),
              HasSubstr("replica identity"));
  EXPECT_THAT(refusal(PgoutputBytes('Y').u32(1).text("a").u8('b')), HasSubstr("name without its end"));
  EXPECT_THAT(refusal(PgoutputBytes('B').u64(1).u64(INT64_MAX).u32(1)), HasSubstr("past all calendars"));
}

// A length that the message does not hold is refused before memory is asked for.
TEST(Pgoutput, LengthsAreCheckedFirst) {
  EXPECT_THAT(refusal(PgoutputBytes('I').u32(7).u8('N').u16(1).u8('t').u32(0x7fffffff)), HasSubstr("0 left"));
  EXPECT_THAT(refusal(PgoutputBytes('I').u32(7).u8('N').u16(1).u8('t').u32(0xffffffff)),
              HasSubstr("negative"));
  EXPECT_THAT(refusal(PgoutputBytes('I').u32(7).u8('N').u16(0x7fff)),
              HasSubstr("more than the message holds"));
  EXPECT_THAT(refusal(PgoutputBytes('I').u32(7).u8('N').u16(0xffff)), HasSubstr("negative"));
  EXPECT_THAT(refusal(PgoutputBytes('T').u32(0x7fffffff).u8(0)), HasSubstr("more than the message holds"));
  EXPECT_THAT(refusal(PgoutputBytes('T').u32(0xffffffff).u8(0)), HasSubstr("more than the message holds"));
  EXPECT_THAT(refusal(PgoutputBytes('R').u32(1).text("a").text("b").u8('d').u16(0x7000)),
              HasSubstr("more than the message holds"));
}

TEST(Pgoutput, Peek) {
  EXPECT_EQ(peek(bytes::insert(7, {}, 3), true).xid, 3u);
  EXPECT_EQ(peek(bytes::insert(7, {}), false).xid, 0u);
  EXPECT_EQ(peek(bytes::stream_stop(), true).type, 'E');
  EXPECT_THROW(peek("I", true), Error);
}

std::vector<std::pair<std::string, bool>> one_of_each() {
  return {{bytes::relation(1, "t", 'd', {{"id", true}, {"x", false}}), false},
          {bytes::relation(1, "t", 'f', {{"id", true}}, 4), true},
          {PgoutputBytes('Y').u32(9).text("app").text("mood"), false},
          {bytes::origin("o"), false},
          {bytes::logical(true, "tidegate", "content"), false},
          {bytes::logical(true, "tidegate", "content", 4), true},
          {bytes::begin(1, 2), false},
          {bytes::commit(1, 2), false},
          {bytes::insert(1, {"tabc", "n"}), false},
          {bytes::insert(1, {"tabc", "n"}, 4), true},
          {bytes::update(1, {"tabc", "u"}), false},
          {bytes::update(1, 'K', {"tabc", "n"}, {"tx", "u"}), false},
          {bytes::update(1, 'O', {"tabc", "n"}, {"tx", "u"}, 4), true},
          {bytes::removal(1, 'O', {"tabc", "n"}), false},
          {bytes::truncation({1, 2, 3}, 3), false},
          {bytes::stream_start(4, true), false},
          {bytes::stream_stop(), true},
          {bytes::stream_commit(4, 1, 2), false},
          {bytes::stream_abort(4, 5), false},
          {bytes::begin_prepare(4, 1), false},
          {bytes::prepare('P', 4, 1), false},
          {bytes::prepare('p', 4, 1), false},
          {bytes::commit_prepared(4, 1), false},
          {bytes::rollback_prepared(4, 1), false}};
}

TEST(Pgoutput, EveryMessageCutShortIsRefused) {
  for (const auto& [message, in_stream] : one_of_each()) {
    decode(message, in_stream);
    for (std::size_t size = 0; size < message.size(); ++size) {
      // An abort may end before its LSN; here it has none.
      EXPECT_THROW(decode(message.substr(0, size), in_stream), Error) << message[0] << " cut to " << size;
    }
  }
}

TEST(Pgoutput, MutationsAreDecodedOrRefused) {
  testing_support::Seeded seeded;
  SCOPED_TRACE(seeded.told());
  auto messages = one_of_each();
  int refused = 0, taken = 0;
  for (int round = 0; round < testing_support::Seeded::rounds(20000); ++round) {
    const auto& [message, in_stream] = messages[seeded.below(messages.size())];
    try {
      decode(seeded.mutated(message), seeded.one_in(4) != in_stream);
      ++taken;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(taken, 0);
}

}  // namespace
}  // namespace tidegate::pgoutput
