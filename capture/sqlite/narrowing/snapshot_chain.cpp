#include "capture/sqlite/narrowing/snapshot_chain.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <thread>

#include "capture/sqlite/write_lock.hpp"
#include "db/error.hpp"

namespace tidegate::sqlite_wal {
namespace {

using Clock = std::chrono::steady_clock;

// A commit between the two looks at the index makes us begin again; under 10,000 commits a second about one
// try in five fails.
constexpr int max_tries_for_exact_position = 200;

sqlite::Database open_reader(const std::string& path, std::chrono::milliseconds busy_timeout) {
  sqlite::Database database(path, sqlite::Database::Mode::read_write, busy_timeout);
  database.execute("PRAGMA query_only = ON");
  return database;
}

struct stat file_facts(const std::string& path) {
  struct stat facts;
  if (stat(path.c_str(), &facts) != 0)
    throw Refused("source-gone", "the source file " + path + " is gone",
                  "put it back, then start tidegate again");
  return facts;
}

}  // namespace

SnapshotChain::SnapshotChain(const std::string& path, const Options& options)
    : path_(path),
      options_(options),
      connections_{open_reader(path, options.busy_timeout), open_reader(path, options.busy_timeout)},
      next_checkpoint_(options.checkpoint_from),
      next_relief_(options.wal_bound),
      narrowing_(path),
      pending_(Look::at_everything("the first cut")) {
  struct stat facts = file_facts(path);
  device_ = facts.st_dev;
  inode_ = facts.st_ino;
}

SnapshotChain::~SnapshotChain() = default;

void SnapshotChain::refuse_replaced_file() const {
  struct stat facts = file_facts(path_);
  if (facts.st_dev == device_ && facts.st_ino == inode_) return;
  throw Refused("source-replaced", "another file is in the place of the source " + path_ + " now",
                "make sure that it is the one you want, then start tidegate again: it compares all rows "
                "before it goes on");
}

bool SnapshotChain::changed() {
  refuse_replaced_file();
  if (let_go_at_) return changed_since_let_go();
  if (wal_ && held_ >= 0) {
    auto now = published(held_);
    return !now || !position_ || *now != *position_;
  }
  return !data_version_ || data_version() != *data_version_;
}

SnapshotChain::Cut SnapshotChain::next(sqlite::Database* twin) {
  refuse_replaced_file();
  twin_is_there_ = false;
  let_go_at_.reset();
  if (held_ >= 0 && !wal_) end(held_);  // without WAL the old read lock only stands in the way
  auto barrier = barrier_if_due();
  pending_.unite(held_ >= 0 ? newer_snapshot(&connections_[static_cast<std::size_t>(held_)], twin)
                            : first_snapshot(twin));
  if (barrier) let_wal_start_over();
  barrier.reset();
  step_into_wal(twin);
  return {connections_[static_cast<std::size_t>(held_)], pending_, wal_, twin_is_there_};
}

namespace {

bool takes_long(const Look& look) {
  return look.everything || std::any_of(look.tables.begin(), look.tables.end(), [](const auto& table) {
           return table.second.whole || table.second.ranges.size() > 100;
         });
}

}  // namespace

// While a snapshot reads the file alone, nothing can be checkpointed, and each of the app's commits that
// tries sorts the whole WAL before it finds that out. So a cut that takes long moves on to the next commit,
// where one comes soon; where none does, nobody is held up.
void SnapshotChain::step_into_wal(sqlite::Database* twin) {
  if (!reads_file_alone() || !takes_long(pending_)) return;
  auto deadline = Clock::now() + options_.commit_wait;
  while (published(held_) == position_) {
    if (Clock::now() >= deadline) return;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  pending_.unite(newer_snapshot(&connections_[static_cast<std::size_t>(held_)], twin));
}

void SnapshotChain::accept() {
  pending_ = {};
  if (held_ < 0) return;
  if (!wal_) return end(held_);
  if (!options_.writers_wait && wal_bytes() >= next_relief_) let_go();
}

void SnapshotChain::release() {
  if (held_ >= 0) end(held_);
  position_.reset();
  data_version_.reset();
  let_go_at_.reset();
  narrowing_.stop();
  pending_ = Look::at_everything("the snapshots were released");
}

// The first connection's snapshot only anchors the WAL while the position of the second's is found out.
Look SnapshotChain::first_snapshot(sqlite::Database* twin) {
  begin(0);
  held_ = 0;
  wal_ = connections_[0].text("PRAGMA journal_mode") == "wal";
  data_version_ = data_version();
  if (wal_) return newer_snapshot(nullptr, twin);
  narrowing_.stop();
  position_.reset();
  return Look::at_everything("the file is not in WAL mode");
}

// `narrow_from` holds the snapshot of the last cut; null where there is none.
Look SnapshotChain::newer_snapshot(sqlite::Database* narrow_from, sqlite::Database* twin) {
  int older = held_, newer = 1 - held_;
  WalPosition position;
  bool exact = begin_at_published_position(newer, position);
  twin_is_there_ = exact && twin && begin_twin(*twin, position);
  Look look;
  try {
    if (exact) {
      look = narrowing_.advance(narrow_from, connections_[static_cast<std::size_t>(newer)], position);
    } else {
      narrowing_.stop();
      look = Look::at_everything("commits come too fast to tell the snapshot's position");
    }
  } catch (...) {
    end(newer);  // the older snapshot stays, the next cut looks everywhere
    pending_ = Look::at_everything("the last cut failed");
    throw;
  }
  end(older);
  hold(newer, exact ? std::optional(position) : std::nullopt);
  return look;
}

void SnapshotChain::hold(int connection, std::optional<WalPosition> position) {
  held_ = connection;
  if (position && position_ && !position->same_wal(*position_)) {
    ++counts_.resets_seen;
    next_checkpoint_ = options_.checkpoint_from;
    next_relief_ = options_.wal_bound;
  }
  position_ = position;
}

void SnapshotChain::begin(int connection) {
  sqlite::Database& database = connections_[static_cast<std::size_t>(connection)];
  database.execute("BEGIN");
  try {
    database.integer("SELECT count(*) FROM sqlite_schema");  // BEGIN alone takes no snapshot
  } catch (...) {
    end(connection);
    throw;
  }
}

void SnapshotChain::end(int connection) {
  sqlite::Database& database = connections_[static_cast<std::size_t>(connection)];
  if (database.in_transaction()) database.execute("ROLLBACK");
  if (connection == held_) held_ = -1;
}

// The index is read through the held connection: its snapshot keeps the file in WAL mode and the index in
// place. Equal positions before and after mean that no commit was published in between, so the snapshot is
// exactly there. (The -wal file cannot say this: a commit's frames stand in it before it is published.)
bool SnapshotChain::begin_at_published_position(int connection, WalPosition& position) {
  for (int i = 0; i < max_tries_for_exact_position; ++i) {
    auto before = published(held_);
    begin(connection);
    auto after = published(held_);
    if (before && after && *before == *after) {
      position = *before;
      stands_in_wal_ =
          !checkpointed(connections_[static_cast<std::size_t>(held_)].wal_index_header(), position);
      return true;
    }
    if (i + 1 < max_tries_for_exact_position) end(connection);
  }
  return false;
}

// Nobody has published another commit by the time that it is open: then it shows the same one.
bool SnapshotChain::begin_twin(sqlite::Database& twin, const WalPosition& position) {
  if (twin.in_transaction()) twin.execute("ROLLBACK");
  twin.execute("BEGIN");
  twin.integer("SELECT count(*) FROM sqlite_schema");
  if (published(held_) == position) return true;
  twin.execute("ROLLBACK");
  return false;
}

std::optional<WalPosition> SnapshotChain::published(int connection) {
  return published_position(connections_[static_cast<std::size_t>(connection)].wal_index_header());
}

std::int64_t SnapshotChain::data_version() {
  return connections_[0].integer("PRAGMA data_version");
}

// Lets the app's own checkpoint get to the WAL's end, after its next commit. All that was committed is in the
// WAL until the commit after that resets it.
void SnapshotChain::let_go() {
  ++counts_.let_go;
  let_go_at_ = Clock::now();
  end(held_);
}

bool SnapshotChain::changed_since_let_go() {
  auto header = connections_[0].wal_index_header();
  auto now = published_position(header);
  if (!now || *now == *position_) return false;  // nothing new, or being written at this moment
  if (!now->same_wal(*position_)) return true;   // reset, unseen: the next cut looks everywhere
  if (checkpointed(header, *now)) return true;   // the next snapshot reads the file alone
  if (Clock::now() - *let_go_at_ < options_.patience) return false;
  next_relief_ = 2 * now->bytes();  // another reader holds the WAL: wait for more before letting go again
  return true;
}

// The write lock of the database, held without writing.
std::unique_ptr<sqlite::Transaction> SnapshotChain::barrier_if_due() {
  if (!options_.writers_wait || held_ < 0 || !wal_ || wal_bytes() < next_relief_) return nullptr;
  if (!writer_) {
    writer_ = std::make_unique<sqlite::Database>(path_, sqlite::Database::Mode::read_write,
                                                 std::chrono::milliseconds(0));
  }
  next_relief_ = wal_bytes() + options_.wal_bound / 4;  // if this one does not help
  auto barrier = capture::take_write_lock(*writer_, options_.barrier_wait);
  ++(barrier ? counts_.barriers : counts_.barriers_without_lock);
  return barrier;
}

void SnapshotChain::tend() {
  if (!wal_ || held_ < 0 || !position_ || !stands_in_wal_) return;
  if (wal_bytes() < next_checkpoint_ || changed()) return;
  next_checkpoint_ = wal_bytes() + options_.checkpoint_from / 16;  // if a commit comes in between
  ++counts_.checkpoints;
  let_wal_start_over();
}

// SQLite before 3.51.3 may corrupt the file when the WAL is reset during a checkpoint. Here it cannot be:
// either the write lock is ours, or the held snapshot stands in the WAL, and both outlast the checkpoint.
// Once all is checkpointed, a new snapshot of the same state reads the file alone and lets the next writer
// reset the WAL. False: a commit, another reader or another checkpoint was in the way. A crash leaves an
// ordinary WAL database.
bool SnapshotChain::let_wal_start_over() {
  int spare = 1 - held_;
  {
    auto checkpoint = connections_[static_cast<std::size_t>(spare)].prepare("PRAGMA wal_checkpoint(PASSIVE)");
    if (!checkpoint.step() || checkpoint.integer(0) != 0) return false;
    if (checkpoint.integer(1) != checkpoint.integer(2)) return false;
  }
  begin(spare);
  if (published(held_) != position_) {
    end(spare);
    return false;
  }
  end(held_);
  held_ = spare;
  stands_in_wal_ = false;
  return true;
}

}  // namespace tidegate::sqlite_wal
