// Postgres capture: receives the source's change stream from a replication slot, and leaves its transactions
// in the outbox in commit order. README.md, "The stream", says what is durable when.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "capture/postgres/assembler.hpp"
#include "capture/postgres/capture_state.hpp"
#include "capture/source.hpp"
#include "db/postgres.hpp"
#include "db/replication.hpp"
#include "db/sqlite.hpp"

namespace tidegate {

struct PostgresCaptureOptions {
  postgres::ConnectOptions connection;
  std::string slot, publication;  // both must be there: ensure_slot(), and the publication before it
  std::string spool_directory;    // ours alone: what is in it is removed at every connect
  // Logical messages (pg_logical_emit_message) of this prefix are passed on; others are ignored.
  std::string message_prefix = "tidegate";
  // Transactions that begin with a message of this content are not captured; empty: all are.
  std::string skip_marked;
  std::size_t max_queue_bytes = 16 << 20, max_part_bytes = 4 << 20;
  // Of the spool; behind it the server keeps open transactions. 0: it keeps them from the beginning.
  std::uint64_t spool_limit = std::uint64_t{4} << 30;
};

// All are called on the thread of run(). What they throw ends run(), and is thrown on.
struct PostgresCaptureCallbacks {
  struct Committed {
    std::uint64_t sequence = 0;                   // of the last part that is durable now
    std::uint64_t transactions = 0, changes = 0;  // of this group
    std::uint64_t end_lsn = 0;
  };
  // A group of transactions is durable.
  std::function<void(const Committed&)> on_committed;
  // Where this is there, the parts of a long transaction become durable one by one: this one is, and its last
  // is still to come; it is committed at the source. May be empty.
  std::function<void(std::uint64_t sequence)> on_open;
  // Goes with on_open: takes such parts out of the outbox that an earlier run() left when it ended within a
  // transaction, which comes again as a whole. In a transaction of the state database.
  std::function<void()> take_back_open;
  // Open transactions took more than `spool_limit`, or than the disk has room for. From now on the server
  // keeps such transactions itself until they commit; this run() goes on. May be empty.
  std::function<void(const std::string& why)> on_spool_full;
  // A message passed: everything that was committed before it is in the outbox, durably, up to `sequence`.
  // Comes again after a restart.
  std::function<void(const std::string& content, std::uint64_t sequence)> on_message;
  // A table has another shape than when it was last used, and the next change is the first that needs it. All
  // transactions before this one are durable; of this one nothing is, or parts that are not its last
  // (`within`): what is appended then is a part among them. The state database may be in its transaction. To
  // return is to go on with the new shape, and it may not be asked again; to refuse, throw: the next run()
  // comes here again.
  std::function<void(const RelationChanged&)> on_relation_changed;
  // The shape that a table had when its rows were copied, asked where no change of it was captured before: it
  // may have changed since. Absent where the caller does not know the table. May be empty.
  std::function<std::optional<RelationShape>(const RelationShape& now)> copied_shape;
  // The identity's columns in key order, where the caller knows better than the order in the table, which
  // is all that the stream tells. May be empty.
  std::function<std::vector<std::string>(const RelationShape&)> key_order;
};

class PostgresCapture {
 public:
  // `state` is written by this object and by `outbox` only, both on the thread of run(). Makes its tables
  // there.
  PostgresCapture(PostgresCaptureOptions options, sqlite::Database& state, Outbox& outbox);
  ~PostgresCapture();

  // Streams until the stop, which is a clean end, or until something fails: Refused where an operator must
  // look, Error else; unless its advice is stop, run() may be called again. What was journalled stays, what
  // was not comes again.
  void run(std::stop_token stop, const PostgresCaptureCallbacks& callbacks);

  struct Progress {
    bool connected = false;
    std::uint64_t received_lsn = 0;   // what came from the server, in this run
    std::uint64_t durable_lsn = 0;    // what is journalled: nothing before this is needed any more
    std::uint64_t server_lsn = 0;     // the end of the server's log, as far as it told
    std::int64_t commit_time_us = 0;  // of the newest transaction that is durable; 0: none in this run
    std::uint64_t sequence = 0;       // of the last part that is durable; 0: none
    std::uint64_t transaction = 0;    // of the same
    std::uint64_t spool_bytes = 0;    // of transactions in progress
  };
  Progress progress() const;  // from any thread

 private:
  class Run;
  PostgresCaptureOptions options_;
  sqlite::Database& state_;
  Outbox& outbox_;
  mutable std::mutex mutex_;
  Progress progress_;
};

}  // namespace tidegate
