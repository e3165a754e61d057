// Overlapping read snapshots of a live SQLite file, each with the rows that may differ from the one before.
// In WAL mode the older snapshot is let go only after the newer one is open and narrowed, so that no frame
// between the two can be reset away. Without WAL there is no chain: a cut is a read lock, and looks
// everywhere.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "capture/sqlite/narrowing/narrowing.hpp"

namespace tidegate::sqlite_wal {

class SnapshotChain {
 public:
  struct Options {
    // The app's transactions take the write lock at once, or wait for it. Else ("upgrades") one that read
    // first and writes later would fail at our barrier, so none is ever taken.
    bool writers_wait = false;
    std::uint64_t checkpoint_from = 4 << 20;  // bytes of WAL from which on tend() helps it to start over: as
                                              // many as SQLite's own auto-checkpoint, 1000 pages of 4096
    std::uint64_t wal_bound = 64 << 20;       // from which on next() and accept() do, at some cost
    std::chrono::milliseconds barrier_wait{20};    // for the write lock
    std::chrono::milliseconds commit_wait{10};     // for a commit, so that a long cut stands in the WAL
    std::chrono::milliseconds patience{2000};      // without a snapshot, for the app to reset its WAL
    std::chrono::milliseconds busy_timeout{5000};  // for a file without WAL that is being written
  };
  struct Cut {
    sqlite::Database& connection;  // in a read transaction, query_only; no statement may outlive the cut
    const Look& look;              // against the last accepted cut
    bool wal;                      // false: writers wait for this cut, keep it under 100 ms
    bool twin = false;             // the other connection has the same snapshot
  };

  SnapshotChain(const std::string& path, const Options& options);
  ~SnapshotChain();

  // Whether a commit may have happened since the last cut. Costs about a microsecond.
  bool changed();
  // Opens a newer snapshot and ends the one before. Valid until the next call of next(), accept() or
  // release(). `twin` is another connection to the file, which is given the very same snapshot where that
  // can be told (Cut::twin; in WAL mode only): the caller's to end, and soon, since it keeps the WAL from
  // being reset.
  Cut next(sqlite::Database* twin = nullptr);
  // The shadow is now what the last cut showed. A cut that is not accepted stays part of the next one's look.
  // Without WAL this ends the read lock; above the WAL's bound it may let the chain go.
  void accept();
  // To be called when changed() says no. A long WAL is checkpointed (no writer waits or fails; takes an fsync
  // or two), and then begins anew with the next commit. Ends the last cut's validity, not its acceptance.
  void tend();
  // The bound was met and the snapshot let go, so that the app's next commits checkpoint and reset the WAL.
  // changed() waits for the moment in between, which should be polled for every 200 µs: a reset that comes
  // unseen makes the next cut look everywhere.
  bool is_let_go() const { return let_go_at_.has_value(); }
  // Ends all snapshots; the next cut looks everywhere.
  void release();

  bool holds_snapshot() const { return held_ >= 0; }
  // Once the app has written much, each of its commits is slow until the next cut (README, "Resets").
  bool reads_file_alone() const { return wal_ && held_ >= 0 && !stands_in_wal_; }
  std::uint64_t wal_bytes() const { return position_ ? position_->bytes() : 0; }
  struct Counts {
    std::uint64_t checkpoints = 0;  // by tend()
    std::uint64_t barriers = 0, barriers_without_lock = 0, let_go = 0, resets_seen = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  void refuse_replaced_file() const;
  Look first_snapshot(sqlite::Database* twin);
  void step_into_wal(sqlite::Database* twin);
  Look newer_snapshot(sqlite::Database* narrow_from, sqlite::Database* twin);
  bool begin_twin(sqlite::Database& twin, const WalPosition& position);
  void hold(int connection, std::optional<WalPosition> position);
  void begin(int connection);
  void end(int connection);
  bool begin_at_published_position(int connection, WalPosition& position);
  std::optional<WalPosition> published(int connection);
  std::int64_t data_version();
  bool changed_since_let_go();
  void let_go();
  std::unique_ptr<sqlite::Transaction> barrier_if_due();
  bool let_wal_start_over();

  std::string path_;
  Options options_;
  std::uint64_t device_ = 0, inode_ = 0;
  std::array<sqlite::Database, 2> connections_;
  std::unique_ptr<sqlite::Database> writer_;  // for barriers only
  int held_ = -1;                             // which connection holds the last cut's snapshot
  bool wal_ = false;
  std::optional<WalPosition> position_;  // of the held snapshot, where it is known exactly
  std::optional<std::int64_t> data_version_;
  std::optional<std::chrono::steady_clock::time_point> let_go_at_;
  bool twin_is_there_ = false;
  bool stands_in_wal_ = false;                   // that snapshot surely keeps the WAL from being reset
  std::uint64_t next_checkpoint_, next_relief_;  // bytes of WAL
  Narrowing narrowing_;
  Look pending_;
  Counts counts_;
};

}  // namespace tidegate::sqlite_wal
