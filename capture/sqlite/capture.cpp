#include "capture/sqlite/capture.hpp"

#include <algorithm>

#include "capture/sqlite/catalog.hpp"
#include "capture/sqlite/key_sample.hpp"
#include "capture/sqlite/live_read.hpp"
#include "capture/sqlite/recorder.hpp"
#include "capture/sqlite/schema_delta.hpp"
#include "capture/sqlite/shadow_fill.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How often the source is asked whether anything was committed: 1.6 µs each in WAL mode (measured); without
// WAL each takes a read lock for a moment. While the chain of snapshots is let go, a reset of the WAL must
// not come unseen.
constexpr std::chrono::microseconds poll_with_wal{5000}, poll_without_wal{50000}, poll_between_snapshots{200};
constexpr milliseconds shadow_busy_timeout{30000};
using capture::longest_read_lock_without_wal;

std::int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

std::vector<SourceTable> tables_of(sqlite::Database& live, const CaptureOptions& options) {
  return capture::read_catalog(live, options.include, options.exclude);
}

}  // namespace

SqliteCapture::SqliteCapture(const CaptureOptions& options, sqlite::Database& state, Outbox& outbox)
    : options_(options), state_(state), outbox_(outbox) {
  Shadow::create_tables(state_);
  state_.execute(
      "CREATE TABLE IF NOT EXISTS capture (one INTEGER PRIMARY KEY CHECK (one = 1), source TEXT NOT NULL,"
      " last_transaction INTEGER NOT NULL, is_open INTEGER NOT NULL)");
  auto saved = state_.prepare("SELECT last_transaction, is_open FROM capture");
  if (saved.step()) {
    reached_ = {static_cast<std::uint64_t>(saved.integer(0)), saved.integer(1) != 0};
  }
  tables_ = Shadow::load(state_);
  sqlite_wal::SnapshotChain::Options chain;
  chain.writers_wait = options_.may_write_barrier;
  chain_ = std::make_unique<sqlite_wal::SnapshotChain>(options_.path, chain);
  shadow_ = std::make_unique<sqlite::Database>(state_.path(), sqlite::Database::Mode::read_write,
                                               shadow_busy_timeout);
  shadow_->execute("PRAGMA query_only = ON; PRAGMA cache_size = -16384");
}

SqliteCapture::~SqliteCapture() = default;

bool SqliteCapture::filled() {
  return state_.integer("SELECT count(*) FROM capture") == 1;
}

bool SqliteCapture::fill_begun() {
  return filled() || !tables_.empty();
}

std::chrono::microseconds SqliteCapture::poll_interval() const {
  if (chain_->is_let_go()) return poll_between_snapshots;
  return wal_ ? poll_with_wal : poll_without_wal;
}

sqlite_wal::SnapshotChain::Cut SqliteCapture::snapshot(sqlite::Database* twin) {
  auto cut = chain_->next(twin);
  wal_ = cut.wal;
  if (wal_) return cut;
  cut.connection.set_progress_check(
      [began = steady_clock::now()] { return steady_clock::now() - began > longest_read_lock_without_wal; });
  return cut;
}

namespace {

// Ends a read lock however its scope is left, and says in words what an interrupted read means.
template <typename Work>
void within_snapshot(const std::string& path, sqlite_wal::SnapshotChain& chain, sqlite::Database& live,
                     Work work) {
  try {
    work();
  } catch (const Error& error) {
    live.set_progress_check({});
    chain.release();
    if (error.code() != "SQLITE_INTERRUPT") throw;
    throw capture::wal_needed(path);
  } catch (...) {
    live.set_progress_check({});
    chain.release();
    throw;
  }
  live.set_progress_check({});
}

}  // namespace

std::vector<FilledTable> SqliteCapture::begin_fill(const ReadProgress& progress) {
  auto measured = measure_source(options_, progress);
  if (filled() || !Shadow::is_empty(state_)) return measured;
  sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
  Shadow::remove_all(state_);
  for (const FilledTable& table : measured)
    Shadow::to_be_filled(state_, Shadow::add(state_, table.source), table.measure.rows);
  transaction.commit();
  tables_ = Shadow::load(state_);
  return measured;
}

std::vector<ShadowTable> SqliteCapture::tables_to_fill() {
  std::vector<ShadowTable> tables;
  for (const ShadowTable& table : tables_) {
    if (Shadow::rows_to_fill(state_, table)) tables.push_back(table);
  }
  const auto& last = options_.fill_last;
  const auto rank = [&](const ShadowTable& table) {
    const auto place = std::find(last.begin(), last.end(), table.source().name);
    return place == last.end() ? -1 : place - last.begin();
  };
  std::stable_sort(tables.begin(), tables.end(),
                   [&](const ShadowTable& a, const ShadowTable& b) { return rank(a) < rank(b); });
  return tables;
}

bool SqliteCapture::same_schema(sqlite::Database& live) {
  const auto now = tables_of(live, options_);
  const bool same = std::equal(tables_.begin(), tables_.end(), now.begin(), now.end(),
                               [](const ShadowTable& known, const SourceTable& table) {
                                 return known.fingerprint() == capture::fingerprint(table);
                               });
  if (same) schema_version_ = live.integer("PRAGMA schema_version");
  return same;
}

// Without WAL writers wait while we read, so all is read before the first row is written: what that may take
// is bounded by the read lock's time, and by this in memory.
void SqliteCapture::fill_without_wal(const sqlite_wal::SnapshotChain::Cut& live,
                                     const ReadProgress& progress) {
  std::size_t memory = capture::most_read_without_wal;
  ShadowFill fill(state_, progress);
  const auto tables = tables_to_fill();
  std::vector<std::vector<PlacedRow>> read;
  for (const ShadowTable& table : tables) read.push_back(fill.read_all(live.connection, table, memory));
  chain_->accept();  // ends the read lock
  for (std::size_t i = 0; i < tables.size(); ++i) fill.fill(tables[i], read[i]);
}

void SqliteCapture::fill_tables(const sqlite_wal::SnapshotChain::Cut& live, const ReadProgress& progress) {
  if (!live.wal) return fill_without_wal(live, progress);
  for (const ShadowTable& table : tables_to_fill()) ShadowFill(state_, progress).fill(live.connection, table);
}

// The rest is left to the cut that compares everything: it carries the new schema, too.
void SqliteCapture::leave_unfilled() {
  sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
  for (const ShadowTable& table : tables_to_fill()) {
    Shadow::index(state_, table);
    Shadow::is_filled(state_, table);
  }
  transaction.commit();
}

void SqliteCapture::fill(const ReadProgress& progress) {
  bool one_snapshot = Shadow::is_empty(state_);
  auto live = snapshot();
  within_snapshot(options_.path, *chain_, live.connection, [&] {
    const bool same = same_schema(live.connection);
    one_snapshot = one_snapshot && same;
    same ? fill_tables(live, progress) : leave_unfilled();
  });
  if (!one_snapshot) {
    chain_->release();
    cut();
  }
  sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
  save(reached_);
  failpoint("capture-before-fill-ends");
  transaction.commit();
  if (one_snapshot && chain_->holds_snapshot()) chain_->accept();
}

void SqliteCapture::save(const Reached& reached) {
  auto upsert = state_.prepare(
      "INSERT INTO capture VALUES (1, ?1, ?2, ?3)"
      " ON CONFLICT DO UPDATE SET last_transaction = ?2, is_open = ?3");
  upsert.bind(1, std::string_view(options_.path)).bind(2, static_cast<std::int64_t>(reached.transaction));
  upsert.bind(3, static_cast<std::int64_t>(reached.open)).run();
}

// Adds or extends the shadow of one table; true where the target must hear of it.
bool SqliteCapture::take_over(const SourceTable& now) {
  for (const ShadowTable& before : tables_) {
    if (before.source().name != now.name) continue;
    SchemaDelta delta = compare_schema(before.source(), now);
    if (delta.kind == SchemaDelta::Kind::none) return false;
    if (delta.kind == SchemaDelta::Kind::incompatible) {
      throw SchemaNeedsOperator("table " + now.name + " of the source changed its shape: " + delta.reason);
    }
    Shadow::extend(state_, before, now);
    return true;
  }
  Shadow::index(state_, Shadow::add(state_, now));
  return true;
}

namespace {

void refuse_dropped_tables(const std::vector<ShadowTable>& before, const std::vector<SourceTable>& now) {
  for (const ShadowTable& table : before) {
    bool there = std::any_of(now.begin(), now.end(),
                             [&](const SourceTable& found) { return found.name == table.source().name; });
    if (!there)
      throw SchemaNeedsOperator("table " + table.source().name + " of the source was dropped or renamed");
  }
}

}  // namespace

// The shadow's new shape commits with the schema change in the outbox, as the first part of a transaction
// that stays open until the rows of the same snapshot have been compared: nobody applies it before, and a
// crash in between leaves a transaction that the next cut closes.
void SqliteCapture::carry_schema_changes(sqlite::Database& live) {
  std::int64_t version = live.integer("PRAGMA schema_version");
  if (version == schema_version_) return;
  auto now = tables_of(live, options_);
  refuse_dropped_tables(tables_, now);
  sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
  SchemaChange change;
  for (const SourceTable& table : now) {
    if (take_over(table)) change.tables.push_back(table);
  }
  if (!change.tables.empty() && !options_.carry_schema_changes) {
    throw SchemaNeedsOperator("table " + change.tables.front().name +
                              " of the source is new or changed, and on_schema_change is \"pause\"");
  }
  Reached next = reached_;
  if (!change.tables.empty()) {
    next = {transaction_under_way(), true};
    TransactionPart part;
    part.first = !reached_.open;
    part.transaction = next.transaction;
    part.last = false;
    part.commit_time_us = now_us();
    part.schema_change = std::move(change);
    outbox_.append(part);
    save(next);
  }
  transaction.commit();
  reached_ = next;
  failpoint("capture-after-schema-change");
  schema_version_ = version;
  tables_ = Shadow::load(state_);
}

std::uint64_t SqliteCapture::transaction_under_way() const {
  return reached_.open ? reached_.transaction : reached_.transaction + 1;
}

Recorder SqliteCapture::recorder(Outbox& outbox) {
  return Recorder(state_, outbox, tables_, transaction_under_way(), now_us(), reached_.open);
}

void SqliteCapture::compare_one(const ShadowTable& table, const sqlite_wal::TableLook& look,
                                sqlite::Database& live, Recorder& recorder, Cut& cut) {
  auto& differences = recorder.writer(table);
  std::vector<RowidRange> ranges;
  for (const auto& range : look.ranges) ranges.emplace_back(range.first, range.last);
  auto counts = look.whole || !table.found_by_rowid() ? compare_table(table, live, *shadow_, differences)
                : table.keeps_rowid() ? compare_by_rowid(table, live, *shadow_, state_, ranges, differences)
                                      : compare_ranges(table, live, *shadow_, ranges, differences);
  cut.rows_compared += counts.live_rows;
}

void SqliteCapture::compare(const sqlite_wal::SnapshotChain::Cut& live, Recorder& recorder, Cut& cut) {
  sqlite::Transaction shadow_snapshot(*shadow_);
  sqlite_wal::TableLook everywhere;
  everywhere.whole = true;
  for (const ShadowTable& table : tables_) {
    auto look = live.look.tables.find(table.source().name);
    if (live.look.everything) {
      compare_one(table, everywhere, live.connection, recorder, cut);
    } else if (look != live.look.tables.end()) {
      compare_one(table, look->second, live.connection, recorder, cut);
    }
  }
}

namespace {

void commit(sqlite::Transaction& transaction) {
  failpoint("capture-before-commit");
  transaction.commit();
  failpoint("capture-after-commit");
}

}  // namespace

bool SqliteCapture::record(const sqlite_wal::SnapshotChain::Cut& live, Cut& cut) {
  sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
  Recorder changes = recorder(outbox_);
  compare(live, changes, cut);
  if (!live.wal) chain_->accept();  // ends the read lock: it is not held for the time of a commit
  bool changed = changes.finish();
  if (!changed && !changes.wrote()) return false;
  Reached next = changed ? Reached{transaction_under_way(), false} : reached_;
  save(next);
  commit(transaction);
  reached_ = next;
  cut.changes = changes.changes();
  cut.last_sequence = changes.last_sequence();
  return changed;
}

SqliteCapture::Cut SqliteCapture::cut(HeldCut* held) {
  Cut cut;
  auto began = steady_clock::now();
  auto live = snapshot(held ? held->live.get() : nullptr);
  if (held && (!live.wal || !live.twin)) held->live.reset();
  within_snapshot(options_.path, *chain_, live.connection, [&] {
    cut.everything_because = live.look.reason;
    carry_schema_changes(live.connection);
    if (reached_.open || !live.look.nowhere()) cut.changed = record(live, cut);
  });
  if (chain_->holds_snapshot()) chain_->accept();
  cut.duration = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - began);
  return cut;
}

// Nobody else writes to the state database, so what stands in it after the cut is the cut.
std::unique_ptr<HeldCut> SqliteCapture::cut_and_hold(Cut& into, int readers) {
  auto held = std::make_unique<HeldCut>();
  held->live = std::make_unique<sqlite::Database>(capture::open_live(options_.path));
  into = cut(held.get());
  if (wal_ && !held->live) return nullptr;
  for (int i = 0; i < readers; ++i) {
    auto& shadow = held->shadows.emplace_back(std::make_unique<sqlite::Database>(
        state_.path(), sqlite::Database::Mode::read_write, shadow_busy_timeout));
    shadow->execute("PRAGMA query_only = ON; PRAGMA cache_size = -16384; BEGIN");
    held->sequence = static_cast<std::uint64_t>(shadow->integer("SELECT coalesce(max(seq), 0) FROM journal"));
  }
  return held;
}

namespace {

// For changes that nobody is to hear of.
class Nowhere : public Outbox {
 public:
  std::uint64_t append(const TransactionPart& /*part*/) override { return 0; }
};

void refuse_other_schema(const std::vector<ShadowTable>& before, const std::vector<SourceTable>& now) {
  refuse_dropped_tables(before, now);
  for (const SourceTable& table : now) {
    const auto known = std::find_if(before.begin(), before.end(), [&](const ShadowTable& each) {
      return each.source().name == table.name;
    });
    if (known == before.end() || known->fingerprint() != capture::fingerprint(table))
      throw SchemaNeedsOperator("table " + table.name + " of the source is new or changed");
  }
}

}  // namespace

void SqliteCapture::refuse_schema_changes(sqlite::Database& live) {
  const std::int64_t version = live.integer("PRAGMA schema_version");
  if (version == schema_version_) return;
  refuse_other_schema(tables_, tables_of(live, options_));
  schema_version_ = version;
}

std::uint64_t SqliteCapture::absorb(bool everything) {
  if (reached_.open) throw Error("a cut must end before the shadow takes anything over", "", Advice::retry);
  if (everything) chain_->release();
  auto live = snapshot();
  Cut cut;
  Nowhere nowhere;
  sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
  Recorder changes = recorder(nowhere);
  within_snapshot(options_.path, *chain_, live.connection, [&] {
    refuse_schema_changes(live.connection);
    compare(live, changes, cut);
  });
  changes.finish();
  commit(transaction);
  if (chain_->holds_snapshot()) chain_->accept();
  return changes.changes();
}

}  // namespace tidegate
