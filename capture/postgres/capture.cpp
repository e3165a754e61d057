#include "capture/postgres/capture.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "capture/postgres/capture_receiver.hpp"
#include "capture/postgres/history.hpp"
#include "capture/postgres/slot.hpp"
#include "capture/postgres/spool.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int oldest_server = 140000, first_with_two_phase = 150000;
// While the queue is never empty, a group ends at the first commit behind these.
constexpr milliseconds max_group_age{100};
constexpr std::size_t max_group_bytes = 16 << 20;
// Positions that only keepalives moved are not worth an fsync each.
constexpr milliseconds idle_save_interval{1000};
constexpr milliseconds longest_status_interval{10000}, shortest_status_interval{50};

// Leaves run() from within a transaction of the source.
struct Stopped {};

std::string protocol_of(int server_version) {
  if (server_version >= 160000) return "4";
  return server_version >= 150000 ? "3" : "2";
}

std::string quoted(const std::string& name) {
  std::string out = "\"";
  for (char c : name) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

milliseconds status_interval(postgres::Connection& source) {
  auto row = source.run("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'");
  milliseconds timeout(row.rows() == 1 ? row.integer(0, 0) : 0);
  if (timeout.count() == 0) return longest_status_interval;
  return std::clamp(timeout / 4, shortest_status_interval, longest_status_interval);
}

}  // namespace

// One connection's life. Works on the thread of run().
class PostgresCapture::Run : private Assembly {
 public:
  Run(PostgresCapture& capture, const PostgresCaptureCallbacks& callbacks, std::stop_token stop,
      bool streams_open)
      : capture_(capture),
        options_(capture.options_),
        callbacks_(callbacks),
        stop_(std::move(stop)),
        state_(capture.state_),
        source_(options_.connection),
        held_(connect(streams_open)),
        next_(held_),
        spool_(options_.spool_directory, streams_open ? options_.spool_limit : UINT64_MAX),
        assembler_(assembler_options(), spool_, *this),
        receiver_(source_, {options_.max_queue_bytes, interval_, 0}) {}

  void stream() {
    std::stop_callback interrupt(stop_, [this] { receiver_.interrupt(); });
    publish(true);
    if (!two_phase_) tell();
    try {
      while (!stop_.stop_requested()) step();
    } catch (const Stopped&) {
      return;
    }
    flush(true);
  }

 private:
  CaptureState::Held connect(bool streams_open);
  AssemblerOptions assembler_options() const;
  void step();
  std::optional<ReceivedBatch> next(milliseconds timeout);
  void take(const ReceivedBatch& batch);

  void part(const TransactionPart& part) override;
  void committed(const CommittedTransaction& transaction) override;
  void message(const pgoutput::LogicalMessage& message) override;
  Relation relation(const RelationShape& shape) override;
  std::optional<RelationShape> last_shape(pgoutput::Oid oid) override { return state_.last_shape(oid); }
  void relation_changed(const RelationChanged& change) override;

  void begin_group();
  void show_open();
  bool group_is_full() const;
  void flush(bool at_once);
  void commit_group();
  void tell();
  void publish(bool connected);

  // A group of source transactions that share one transaction of state.db.
  struct Group {
    explicit Group(sqlite::Database& state) : began(Clock::now()) { open(state); }
    void open(sqlite::Database& state) { transaction.emplace(state, sqlite::Transaction::Kind::immediate); }
    std::optional<sqlite::Transaction> transaction;
    Clock::time_point began;
    std::uint64_t transactions = 0, changes = 0;
  };

  PostgresCapture& capture_;
  const PostgresCaptureOptions& options_;
  const PostgresCaptureCallbacks& callbacks_;
  std::stop_token stop_;
  CaptureState state_;
  postgres::ReplicationConnection source_;
  milliseconds interval_ = longest_status_interval;
  bool two_phase_ = false;
  CaptureState::Held held_;     // durable
  CaptureState::Held next_;     // with the closed transactions of the group
  std::uint64_t sequence_ = 0;  // of the last part appended, closed or not
  Spool spool_;
  Assembler assembler_;
  std::optional<Group> group_;
  std::size_t bytes_since_flush_ = 0;
  bool unfinished_ = false;     // parts of a transaction are in the group, but not its last
  bool shape_changed_ = false;  // within that transaction
  std::vector<std::string> open_messages_, passed_messages_;
  std::int64_t commit_time_us_ = 0;
  std::uint64_t confirmed_ = 0;
  Clock::time_point saved_at_;
  CaptureReceiver receiver_;
};

CaptureState::Held PostgresCapture::Run::connect(bool streams_open) {
  postgres::Connection& sql = source_.sql();
  if (sql.server_version() < oldest_server) {
    throw Refused("source-too-old", "the source is older than PostgreSQL 14",
                  "upgrade the source's server first");
  }
  auto source = source_.identify();
  auto held = state_.held();
  if (held) check_history(*held, source);
  auto slot = find_slot(sql, options_.slot);
  check_slot(slot, options_.slot, source.database, held ? held->end_lsn : 0);
  if (!held) {
    held = CaptureState::Held{
        source.identifier, options_.slot, source.timeline, slot->confirmed_flush_lsn, 0, 0};
    sqlite::Transaction transaction(capture_.state_, sqlite::Transaction::Kind::immediate);
    state_.save(*held);
    transaction.commit();
  }
  held->slot = options_.slot;
  interval_ = status_interval(sql);
  postgres::ReplicationConnection::Options options{{"proto_version", protocol_of(sql.server_version())},
                                                   {"publication_names", quoted(options_.publication)},
                                                   {"messages", "true"},
                                                   {"streaming", streams_open ? "on" : "off"}};
  if (slot->two_phase && sql.server_version() >= first_with_two_phase)
    options.emplace_back("two_phase", "on");
  two_phase_ = slot->two_phase;
  // Behind a PREPARE that is not decided the server would send no more than its COMMIT PREPARED.
  source_.start(options_.slot, slot->two_phase ? 0 : held->end_lsn, options);
  return *held;
}

AssemblerOptions PostgresCapture::Run::assembler_options() const {
  AssemblerOptions options;
  options.have = held_.end_lsn;
  options.last_transaction = held_.last_transaction;
  options.max_part_bytes = options_.max_part_bytes;
  options.skip_prefix = options_.message_prefix;
  options.skip_content = options_.skip_marked;
  return options;
}

std::optional<ReceivedBatch> PostgresCapture::Run::next(milliseconds timeout) {
  try {
    return receiver_.next(timeout);
  } catch (const Error&) {
    flush(true);
    throw;
  }
}

void PostgresCapture::Run::step() {
  auto batch = next(milliseconds(0));
  if (!batch) {
    flush(false);
    batch = next(idle_save_interval);
  }
  if (batch) take(*batch);
}

void PostgresCapture::Run::take(const ReceivedBatch& batch) {
  batch.visit(
      [this](std::string_view payload) {
        bytes_since_flush_ += payload.size();
        assembler_.take(payload);
      },
      [this](postgres::Lsn end) {
        if (assembler_.idle()) next_.end_lsn = std::max(next_.end_lsn, end);
      });
  publish(true);
}

void PostgresCapture::Run::begin_group() {
  if (!group_) group_.emplace(capture_.state_);
}

// Nobody waits for a transaction that came after his own.
void PostgresCapture::Run::part(const TransactionPart& part) {
  if (!part.last) {
    if (stop_.stop_requested()) throw Stopped();
    if (part.first) flush(true);
  }
  begin_group();
  sequence_ = capture_.outbox_.append(part);
  group_->changes += part.changes.size();
  unfinished_ = !part.last;
  if (unfinished_ && !shape_changed_ && callbacks_.on_open) show_open();
}

// A change of a shape is told once, by what is durable of it: behind one the transaction stays whole.
void PostgresCapture::Run::show_open() {
  failpoint("stream-before-open-commit");
  group_->transaction->commit();
  failpoint("stream-after-open-commit");
  group_->open(capture_.state_);
  callbacks_.on_open(sequence_);
}

void PostgresCapture::Run::committed(const CommittedTransaction& transaction) {
  shape_changed_ = false;
  next_.end_lsn = std::max(next_.end_lsn, transaction.stamp.end_lsn);
  std::move(open_messages_.begin(), open_messages_.end(), std::back_inserter(passed_messages_));
  open_messages_.clear();
  if (transaction.transaction == 0) return;
  next_.last_transaction = transaction.transaction;
  next_.last_sequence = sequence_;
  commit_time_us_ = transaction.commit_time_us;
  ++group_->transactions;
  if (group_is_full()) flush(true);
}

void PostgresCapture::Run::message(const pgoutput::LogicalMessage& message) {
  if (message.prefix != options_.message_prefix) return;
  (message.transactional ? open_messages_ : passed_messages_).push_back(message.content);
}

Relation PostgresCapture::Run::relation(const RelationShape& shape) {
  if (callbacks_.copied_shape && !state_.last_shape(shape.oid)) {
    auto copied = callbacks_.copied_shape(shape);
    if (copied && *copied != shape) relation_changed({*copied, shape});
  }
  begin_group();
  auto order = callbacks_.key_order ? callbacks_.key_order(shape) : std::vector<std::string>();
  return relation_of(shape, state_.relation_id(shape), order);
}

void PostgresCapture::Run::relation_changed(const RelationChanged& change) {
  flush(true);
  shape_changed_ = true;
  RelationChanged told = change;
  told.within = unfinished_;
  if (callbacks_.on_relation_changed) callbacks_.on_relation_changed(told);
}

bool PostgresCapture::Run::group_is_full() const {
  return bytes_since_flush_ >= max_group_bytes || Clock::now() - group_->began >= max_group_age;
}

void PostgresCapture::Run::flush(bool at_once) {
  if (unfinished_) return;
  if (group_) {
    commit_group();
  } else if (next_.end_lsn > held_.end_lsn && (at_once || Clock::now() - saved_at_ >= idle_save_interval)) {
    begin_group();
    commit_group();
  }
  for (const std::string& content : std::exchange(passed_messages_, {})) {
    if (callbacks_.on_message) callbacks_.on_message(content, held_.last_sequence);
  }
}

void PostgresCapture::Run::commit_group() {
  state_.save(next_);
  failpoint("stream-before-commit");
  group_->transaction->commit();
  failpoint("stream-after-commit");
  PostgresCaptureCallbacks::Committed done{next_.last_sequence, group_->transactions, group_->changes,
                                           next_.end_lsn};
  group_.reset();
  held_ = next_;
  saved_at_ = Clock::now();
  bytes_since_flush_ = 0;
  tell();
  publish(true);
  if (done.transactions > 0 && callbacks_.on_committed) callbacks_.on_committed(done);
}

// Never less than before: what the server has given up it cannot send again.
void PostgresCapture::Run::tell() {
  confirmed_ = std::max(confirmed_, std::min(held_.end_lsn, assembler_.held_lsn().value_or(held_.end_lsn)));
  receiver_.confirm(confirmed_);
}

void PostgresCapture::Run::publish(bool connected) {
  std::lock_guard lock(capture_.mutex_);
  Progress& progress = capture_.progress_;
  progress.connected = connected;
  progress.received_lsn = receiver_.received();
  progress.durable_lsn = held_.end_lsn;
  progress.server_lsn = receiver_.server_end();
  if (!group_) progress.commit_time_us = commit_time_us_;
  progress.sequence = held_.last_sequence;
  progress.transaction = held_.last_transaction;
  progress.spool_bytes = spool_.bytes();
}

PostgresCapture::PostgresCapture(PostgresCaptureOptions options, sqlite::Database& state, Outbox& outbox)
    : options_(std::move(options)), state_(state), outbox_(outbox) {
  CaptureState tables(state_);
}

PostgresCapture::~PostgresCapture() = default;

void PostgresCapture::run(std::stop_token stop, const PostgresCaptureCallbacks& callbacks) {
  struct Disconnected {
    ~Disconnected() {
      std::lock_guard lock(capture.mutex_);
      capture.progress_.connected = false;
    }
    PostgresCapture& capture;
  } disconnected{*this};
  if (stop.stop_requested()) return;
  if (callbacks.take_back_open) {
    sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
    callbacks.take_back_open();
    transaction.commit();
  }
  try {
    Run run(*this, callbacks, stop, options_.spool_limit > 0);
    return run.stream();
  } catch (const SpoolFull& full) {
    if (callbacks.on_spool_full) callbacks.on_spool_full(full.what());
  }
  Run run(*this, callbacks, stop, false);
  run.stream();
}

PostgresCapture::Progress PostgresCapture::progress() const {
  std::lock_guard lock(mutex_);
  return progress_;
}

}  // namespace tidegate
