#include "capture/postgres/pgoutput.hpp"

#include <fmt/format.h>

#include "db/error.hpp"

namespace tidegate::pgoutput {
namespace {

constexpr std::int64_t postgres_epoch_us = 946684800000000;  // 2000-01-01 as Unix time

// Reads forward; nothing is taken, nor memory for it, before its length is known to be there.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes), type_(bytes.empty() ? '\0' : bytes[0]) {}

  [[noreturn]] void fail(std::string_view what) const {
    unsigned char type = static_cast<unsigned char>(type_);
    bool printable = type > 0x20 && type < 0x7f;
    throw Error(
        fmt::format("pgoutput message {} at offset {}: {}",
                    printable ? fmt::format("'{}'", type_) : fmt::format("0x{:02x}", type), at_, what),
        "08P01", Advice::stop);
  }

  std::size_t left() const { return bytes_.size() - at_; }

  std::string_view bytes(std::size_t size) {
    if (size > left()) fail(fmt::format("{} bytes wanted, {} left", size, left()));
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  template <typename Number>
  Number number() {
    std::uint64_t found = 0;
    for (unsigned char c : bytes(sizeof(Number))) found = found << 8 | c;
    return static_cast<Number>(found);
  }
  std::uint8_t byte() { return number<std::uint8_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  Lsn lsn() { return number<std::uint64_t>(); }
  // Far-off values would overflow; the server cannot mean them.
  std::int64_t time() {
    auto found = number<std::int64_t>();
    if (found > INT64_MAX - postgres_epoch_us) fail("a time past all calendars");
    return found + postgres_epoch_us;
  }
  std::string text() {
    auto end = bytes_.find('\0', at_);
    if (end == std::string_view::npos) fail("a name without its end");
    std::string found(bytes_.substr(at_, end - at_));
    at_ = end + 1;
    return found;
  }
  std::string_view counted() {
    auto size = number<std::int32_t>();
    if (size < 0) fail("a negative length");
    return bytes(static_cast<std::size_t>(size));
  }
  // A count of things of which each takes `least` bytes or more.
  template <typename Number>
  std::size_t count(std::size_t least) {
    auto found = number<Number>();
    if (found < 0) fail("a negative count");
    if (static_cast<std::size_t>(found) > left() / least) fail("a count of more than the message holds");
    return static_cast<std::size_t>(found);
  }
  void no_flags() {
    if (byte() != 0) fail("unknown flags");
  }

 private:
  std::string_view bytes_;
  char type_;
  std::size_t at_ = 0;
};

Tuple read_tuple(Reader& reader) {
  Tuple tuple;
  std::size_t count = reader.count<std::int16_t>(1);
  tuple.values.reserve(count);
  for (std::uint32_t place = 0; place < count; ++place) {
    switch (reader.byte()) {
      case 'n':
        tuple.values.emplace_back(Null());
        break;
      case 'u':
        tuple.values.emplace_back(Null());
        tuple.unchanged.push_back(place);
        break;
      case 't':
        tuple.values.emplace_back(std::string(reader.counted()));
        break;
      case 'b':
        reader.fail("a binary value, though none was asked for");
      default:
        reader.fail("an unknown kind of value");
    }
  }
  return tuple;
}

OldTuple read_old(Reader& reader, std::uint8_t kind) {
  if (kind != 'K' && kind != 'O') reader.fail("an unknown kind of row");
  return {kind == 'O', read_tuple(reader)};
}

Relation read_relation(Reader& reader, Xid xid) {
  Relation relation;
  relation.xid = xid;
  relation.oid = reader.u32();
  relation.schema = reader.text();
  if (relation.schema.empty()) relation.schema = "pg_catalog";
  relation.table = reader.text();
  relation.identity = static_cast<char>(reader.byte());
  if (std::string_view("dnfi").find(relation.identity) == std::string_view::npos)
    reader.fail("an unknown replica identity");
  std::size_t count = reader.count<std::int16_t>(1 + 1 + 4 + 4);
  relation.columns.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    RelationColumn column;
    column.key = (reader.byte() & 1) != 0;
    column.name = reader.text();
    column.type = reader.u32();
    column.modifier = reader.number<std::int32_t>();
    relation.columns.push_back(std::move(column));
  }
  return relation;
}

LogicalMessage read_logical(Reader& reader, Xid xid) {
  LogicalMessage message;
  message.xid = xid;
  message.transactional = (reader.byte() & 1) != 0;
  message.lsn = reader.lsn();
  message.prefix = reader.text();
  message.content = reader.counted();
  return message;
}

Insert read_insert(Reader& reader, Xid xid) {
  Insert insert{xid, reader.u32(), {}};
  if (reader.byte() != 'N') reader.fail("an unknown kind of row");
  insert.row = read_tuple(reader);
  if (!insert.row.unchanged.empty()) reader.fail("a new row that lacks values");
  return insert;
}

Update read_update(Reader& reader, Xid xid) {
  Update update{xid, reader.u32(), {}, {}};
  std::uint8_t kind = reader.byte();
  if (kind != 'N') {
    update.old = read_old(reader, kind);
    kind = reader.byte();
  }
  if (kind != 'N') reader.fail("an unknown kind of row");
  update.row = read_tuple(reader);
  return update;
}

Delete read_delete(Reader& reader, Xid xid) {
  Delete removed{xid, reader.u32(), {}};
  removed.old = read_old(reader, reader.byte());
  return removed;
}

Truncate read_truncate(Reader& reader, Xid xid) {
  Truncate truncate;
  truncate.xid = xid;
  auto count = reader.number<std::int32_t>();
  auto flags = reader.byte();
  truncate.cascade = (flags & 1) != 0;
  truncate.restart_sequences = (flags & 2) != 0;
  if (count < 0 || static_cast<std::size_t>(count) > reader.left() / 4)
    reader.fail("a count of more than the message holds");
  for (std::int32_t i = 0; i < count; ++i) truncate.relations.push_back(reader.u32());
  return truncate;
}

Commit read_commit(Reader& reader) {
  reader.no_flags();
  Commit commit;
  commit.commit_lsn = reader.lsn();
  commit.end_lsn = reader.lsn();
  commit.commit_time_us = reader.time();
  return commit;
}

Begin read_begin(Reader& reader) {
  Begin begin;
  begin.commit_lsn = reader.lsn();
  begin.commit_time_us = reader.time();
  begin.xid = reader.u32();
  return begin;
}

StreamCommit read_stream_commit(Reader& reader) {
  Xid xid = reader.u32();
  Commit commit = read_commit(reader);
  return {xid, commit.commit_lsn, commit.end_lsn, commit.commit_time_us};
}

StreamAbort read_stream_abort(Reader& reader) {
  StreamAbort abort;
  abort.xid = reader.u32();
  abort.subtransaction = reader.u32();
  if (reader.left() == 0) return abort;
  abort.abort_lsn = reader.lsn();
  abort.time_us = reader.time();
  return abort;
}

template <typename Kind>
Kind read_prepare(Reader& reader, bool with_flags) {
  if (with_flags) reader.no_flags();
  Kind prepare;
  prepare.prepare_lsn = reader.lsn();
  prepare.end_lsn = reader.lsn();
  prepare.time_us = reader.time();
  prepare.xid = reader.u32();
  prepare.gid = reader.text();
  return prepare;
}

CommitPrepared read_commit_prepared(Reader& reader) {
  Commit commit = read_commit(reader);
  Xid xid = reader.u32();
  return {commit.commit_lsn, commit.end_lsn, commit.commit_time_us, xid, reader.text()};
}

RollbackPrepared read_rollback_prepared(Reader& reader) {
  reader.no_flags();
  RollbackPrepared rollback;
  rollback.prepare_end_lsn = reader.lsn();
  rollback.rollback_end_lsn = reader.lsn();
  rollback.prepare_time_us = reader.time();
  rollback.rollback_time_us = reader.time();
  rollback.xid = reader.u32();
  rollback.gid = reader.text();
  return rollback;
}

bool carries_xid(char type) {
  return std::string_view("RYMIUDT").find(type) != std::string_view::npos;
}

Origin read_origin(Reader& reader) {
  Lsn lsn = reader.lsn();
  return {lsn, reader.text()};
}

Type read_type(Reader& reader, Xid xid) {
  Type type;
  type.xid = xid;
  type.oid = reader.u32();
  type.schema = reader.text();
  type.name = reader.text();
  return type;
}

// What may stand inside a streamed transaction.
Message read_content(Reader& reader, char type, bool in_stream) {
  Xid xid = in_stream && carries_xid(type) ? reader.u32() : 0;
  switch (type) {
    case 'R':
      return read_relation(reader, xid);
    case 'Y':
      return read_type(reader, xid);
    case 'M':
      return read_logical(reader, xid);
    case 'I':
      return read_insert(reader, xid);
    case 'U':
      return read_update(reader, xid);
    case 'D':
      return read_delete(reader, xid);
    case 'T':
      return read_truncate(reader, xid);
    case 'O':
      return read_origin(reader);
    case 'E':
      return StreamStop();
    default:
      reader.fail(in_stream ? "a type that cannot come in a stream" : "an unknown type");
  }
}

StreamStart read_stream_start(Reader& reader) {
  Xid xid = reader.u32();
  return {xid, reader.byte() == 1};
}

Message read(Reader& reader, char type, bool in_stream) {
  if (in_stream) return read_content(reader, type, true);
  switch (type) {
    case 'B':
      return read_begin(reader);
    case 'C':
      return read_commit(reader);
    case 'S':
      return read_stream_start(reader);
    case 'c':
      return read_stream_commit(reader);
    case 'A':
      return read_stream_abort(reader);
    case 'b':
      return read_prepare<BeginPrepare>(reader, false);
    case 'P':
      return read_prepare<Prepare>(reader, true);
    case 'p':
      return read_prepare<StreamPrepare>(reader, true);
    case 'K':
      return read_commit_prepared(reader);
    case 'r':
      return read_rollback_prepared(reader);
    default:
      return read_content(reader, type, false);
  }
}

}  // namespace

Message decode(std::string_view bytes, bool in_stream) {
  Reader reader(bytes);
  char type = static_cast<char>(reader.byte());
  Message message = read(reader, type, in_stream);
  if (reader.left() != 0) reader.fail("more bytes than the message has");
  return message;
}

Peeked peek(std::string_view bytes, bool in_stream) {
  Reader reader(bytes);
  char type = static_cast<char>(reader.byte());
  return {type, in_stream && carries_xid(type) ? reader.u32() : 0};
}

}  // namespace tidegate::pgoutput
