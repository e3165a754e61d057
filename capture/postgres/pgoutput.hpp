// pgoutput, the server's own logical decoding output, protocol versions 1 to 4. Pure: one message's bytes in,
// a struct out. A message that is not what the protocol says throws Error (stop), which names the message's
// type and the offset, never a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/value.hpp"

namespace tidegate::pgoutput {

using Lsn = std::uint64_t;
using Xid = std::uint32_t;
using Oid = std::uint32_t;

// In every message that may come inside a streamed transaction, `xid` is the (sub)transaction that it belongs
// to there, and 0 elsewhere. Times are Unix times in microseconds.

struct RelationColumn {
  bool key = false;
  std::string name;
  Oid type = 0;
  std::int32_t modifier = -1;
  bool operator==(const RelationColumn&) const = default;
};

struct Relation {
  Xid xid = 0;
  Oid oid = 0;
  std::string schema, table;  // schema: "pg_catalog" where the server leaves it out
  char identity = 'd';        // d: default, n: nothing, f: full, i: index
  std::vector<RelationColumn> columns;
};

struct Type {
  Xid xid = 0;
  Oid oid = 0;
  std::string schema, name;
};

struct Origin {
  Lsn commit_lsn = 0;  // on the server where it came from
  std::string name;
};

struct LogicalMessage {
  Xid xid = 0;
  bool transactional = false;
  Lsn lsn = 0;
  std::string prefix, content;
};

struct Begin {
  Lsn commit_lsn = 0;  // the beginning of the commit record
  std::int64_t commit_time_us = 0;
  Xid xid = 0;
};

struct Commit {
  Lsn commit_lsn = 0, end_lsn = 0;
  std::int64_t commit_time_us = 0;
};

// Texts as the server printed them.
struct Tuple {
  Row values;  // null also where unchanged
  std::vector<std::uint32_t>
      unchanged;  // places that were not sent since they are stored out of line (TOAST)
};

struct OldTuple {
  bool whole = false;  // identity FULL; else only the identity's columns, and null elsewhere
  Tuple tuple;
};

struct Insert {
  Xid xid = 0;
  Oid relation = 0;
  Tuple row;
};

struct Update {
  Xid xid = 0;
  Oid relation = 0;
  std::optional<OldTuple> old;
  Tuple row;
};

struct Delete {
  Xid xid = 0;
  Oid relation = 0;
  OldTuple old;
};

struct Truncate {
  Xid xid = 0;
  bool cascade = false, restart_sequences = false;
  std::vector<Oid> relations;
};

// A stretch of a transaction that is still in progress, up to StreamStop.
struct StreamStart {
  Xid xid = 0;  // of the top-level transaction
  bool first = false;
};
struct StreamStop {};
struct StreamCommit {
  Xid xid = 0;
  Lsn commit_lsn = 0, end_lsn = 0;
  std::int64_t commit_time_us = 0;
};
struct StreamAbort {
  Xid xid = 0, subtransaction = 0;      // equal: the whole transaction
  std::optional<Lsn> abort_lsn;         // protocol 4 with streaming = parallel
  std::optional<std::int64_t> time_us;  // likewise
};

// The transaction's changes are between BeginPrepare and Prepare.
struct BeginPrepare {
  Lsn prepare_lsn = 0, end_lsn = 0;
  std::int64_t time_us = 0;
  Xid xid = 0;
  std::string gid;
};
struct Prepare : BeginPrepare {};
struct StreamPrepare : BeginPrepare {};  // the changes were streamed
struct CommitPrepared {
  Lsn commit_lsn = 0, end_lsn = 0;
  std::int64_t commit_time_us = 0;
  Xid xid = 0;
  std::string gid;
};
struct RollbackPrepared {
  Lsn prepare_end_lsn = 0, rollback_end_lsn = 0;
  std::int64_t prepare_time_us = 0, rollback_time_us = 0;
  Xid xid = 0;
  std::string gid;
};

using Message = std::variant<Relation, Type, Origin, LogicalMessage, Begin, Commit, Insert, Update, Delete,
                             Truncate, StreamStart, StreamStop, StreamCommit, StreamAbort, BeginPrepare,
                             Prepare, StreamPrepare, CommitPrepared, RollbackPrepared>;

// `in_stream`: it came between StreamStart and StreamStop, where messages carry their transaction.
Message decode(std::string_view bytes, bool in_stream);

// What a spool needs to know without decoding the row: the message's type, and its (sub)transaction where it
// came in a stream.
struct Peeked {
  char type = 0;
  Xid xid = 0;  // 0 where this type carries none
};
Peeked peek(std::string_view bytes, bool in_stream);

}  // namespace tidegate::pgoutput
