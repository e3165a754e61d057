// From pgoutput's messages to parts of source transactions, in commit order. A pure state machine but for the
// spool, where transactions wait that the server streams before they are committed, or that are prepared.
// README.md, "The stream", has the rules.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "capture/postgres/pgoutput.hpp"
#include "capture/postgres/spool.hpp"
#include "proto/change.hpp"

namespace tidegate {

// A published table as one Relation message described it.
struct RelationShape {
  pgoutput::Oid oid = 0;
  std::string table;  // "schema.table", not quoted
  char identity = 'd';
  std::vector<pgoutput::RelationColumn> columns;
  bool operator==(const RelationShape&) const = default;
};
std::string encode(const RelationShape& shape);  // stable: kept in state.db
RelationShape decode_shape(std::string_view bytes);
// The relation that goes into parts. `key_order`: names of the identity's columns in key order; where it is
// not exactly those, the order is the table's.
Relation relation_of(const RelationShape& shape, std::uint32_t id, const std::vector<std::string>& key_order);

struct RelationChanged {
  RelationShape before, now;
  bool within = false;  // parts of the transaction that needs it were handed over already
};

struct CommittedTransaction {
  std::uint64_t transaction = 0;  // 0 where it had no changes, so that no part was made
  SourceStamp stamp;
  std::int64_t commit_time_us = 0;
};

// Where the assembler's results go, in commit order. Each may throw; the assembler is of no use afterwards.
class Assembly {
 public:
  virtual ~Assembly() = default;
  // `stamp.end_lsn` is set in the last part only.
  virtual void part(const TransactionPart& part) = 0;
  // After its last part, or instead of any.
  virtual void committed(const CommittedTransaction& transaction) = 0;
  // A transactional message in its place among its transaction's parts, another as it comes.
  virtual void message(const pgoutput::LogicalMessage& message) = 0;

  // The relation of this shape: the same id for the same oid and shape, for ever, and never for another.
  // `key` is in key order, where that is known. Asked once per shape in a run, at the first change that needs
  // it.
  virtual Relation relation(const RelationShape& shape) = 0;
  // The shape that this table had when it was last used, in this run or before.
  virtual std::optional<RelationShape> last_shape(pgoutput::Oid oid) = 0;
  // Comes before relation() for the new shape.
  virtual void relation_changed(const RelationChanged& change) = 0;
};

struct AssemblerOptions {
  std::uint64_t have = 0;              // transactions whose commit record begins before it are dropped
  std::uint64_t last_transaction = 0;  // numbers go on behind it
  std::size_t max_part_bytes = 4 << 20, max_part_changes = 20000;
  // Transactions that begin with a message of this prefix and content are left out, as if they had no
  // changes; an empty content is none.
  std::string skip_prefix = {}, skip_content = {};
};

class Assembler {
 public:
  Assembler(const AssemblerOptions& options, Spool& spool, Assembly& assembly);

  // One message of the stream.
  void take(std::string_view bytes);

  // No transaction is being received whole. Streamed ones that are not committed do not count: the server
  // sends those again.
  bool idle() const { return !open_ && streaming_ == 0; }
  // Before this, everything may be given up by the server; it is the oldest transaction that is prepared and
  // neither committed nor rolled back. Nothing: there is none.
  std::optional<std::uint64_t> held_lsn() const;
  std::uint64_t last_transaction() const { return last_transaction_; }

 private:
  struct Open {
    SourceStamp stamp;
    std::int64_t commit_time_us = 0;
    bool first = true;     // no part was handed over yet
    bool dropped = false;  // we have it, or it is to be skipped
    bool prepares = false;
    bool replays = false;  // comes from the spool
  };
  struct Known {
    RelationShape shape;
    std::uint64_t arrived = 0;         // when its message came, among all messages
    std::optional<Relation> relation;  // once a change needed it
    bool in_doubt = false;             // its rows are not named as the shape says
  };
  using Relations = std::unordered_map<pgoutput::Oid, Known>;
  // A transaction in the spool.
  struct Waiting {
    bool streamed = true;  // its messages carry subtransactions
    Relations relations;   // described in its stream
    std::string origin;
    std::uint64_t prepare_lsn = 0;  // once it is prepared
  };

  void take_in_stream(std::string_view bytes);
  void take_in_prepare(std::string_view bytes);
  void handle(pgoutput::Message&& message);

  void on(pgoutput::Relation&& relation);
  void on(pgoutput::Type&&) {}
  void on(pgoutput::Origin&& origin);
  void on(pgoutput::LogicalMessage&& message);
  bool is_mark(const pgoutput::LogicalMessage& message) const;
  void on(pgoutput::Begin&& begin);
  void on(pgoutput::Commit&& commit);
  void on(pgoutput::Insert&& insert);
  void on(pgoutput::Update&& update);
  void on(pgoutput::Delete&& removed);
  void on(pgoutput::Truncate&& truncate);
  void on(pgoutput::StreamStart&& start);
  void on(pgoutput::StreamStop&&);
  void on(pgoutput::StreamCommit&& commit);
  void on(pgoutput::StreamAbort&& abort);
  void on(pgoutput::BeginPrepare&& begin);
  void on(pgoutput::Prepare&& prepare);
  void on(pgoutput::StreamPrepare&& prepare);
  void on(pgoutput::CommitPrepared&& commit);
  void on(pgoutput::RollbackPrepared&& rollback);

  void open(Open open);
  void begin(const SourceStamp& stamp, std::int64_t commit_time_us);
  void replay(pgoutput::Xid xid, SourceStamp stamp, std::int64_t commit_time_us);
  void forget(pgoutput::Xid xid);
  static void learn(Relations& into, const RelationShape& shape, std::uint64_t arrived);
  Known& known(pgoutput::Oid oid);
  const Relation& used(Known& known);
  Known* changed_table(pgoutput::Oid oid);
  void check_identity(Known& table, const pgoutput::OldTuple& old);
  void add(const Relation& relation, Change change);
  void hand_over(bool last);
  void close(std::uint64_t end_lsn);

  AssemblerOptions options_;
  Spool& spool_;
  Assembly& assembly_;
  std::uint64_t last_transaction_, arrivals_ = 0;
  Relations relations_, replayed_;  // of all; of the spooled transaction that is being read
  std::map<pgoutput::Xid, Waiting> waiting_;
  pgoutput::Xid streaming_ = 0;  // between StreamStart and StreamStop
  std::optional<Open> open_;
  TransactionPart part_;
  std::size_t part_bytes_ = 0;
};

}  // namespace tidegate
