// The durable outbox between capture and apply. README.md describes the format.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "capture/source.hpp"
#include "db/sqlite.hpp"
#include "proto/position.hpp"
#include "replicator/journal/compression.hpp"

namespace tidegate {

// Opens or makes a SQLite database of the state directory: WAL, synchronous=FULL, mode 0600.
sqlite::Database open_state(const std::string& path);
// One that is there, for a look from a process that has no other connection to it: nothing is written, nor is
// its WAL taken in or deleted, so a daemon's crash stays as it is. On a file system that is full, too.
sqlite::Database look_at_state(const std::string& path);

// The writing side; shares capture's connection and thread.
class Journal : public Outbox {
 public:
  // Makes the tables and a new incarnation where they are not there yet.
  explicit Journal(sqlite::Database& state, std::size_t max_part_bytes = 990'000'000);
  // Throws Error (stop) for a part that is larger than SQLite's limit on one value, since one of its rows is.
  std::uint64_t append(const TransactionPart& part) override;
  // Takes back the parts behind the last one that closes a transaction: what a capture left that ended within
  // one. In the caller's transaction.
  void discard_open();
  const std::string& incarnation() const { return incarnation_; }

  // Removes what is at or before `applied` and older than `retention`, but for the last row that closes a
  // transaction. Its own transaction.
  void trim(std::uint64_t applied, std::chrono::seconds retention);

 private:
  sqlite::Database& state_;
  std::size_t max_part_bytes_;
  std::string incarnation_;
  std::optional<sqlite::Statement> last_, insert_;
  Compressor compressor_;
};

// The reading side, on a connection of its own.
class JournalReader {
 public:
  explicit JournalReader(const std::string& state_path);
  JournalReader(const JournalReader&) = delete;  // its statements know where its connection is
  JournalReader& operator=(const JournalReader&) = delete;

  struct Entry {
    std::uint64_t sequence = 0;
    std::string previous, digest;
    bool closes = true;
    std::int64_t written_at_us = 0;
    TransactionPart part;
  };
  // The entry after `sequence`, if it belongs to a transaction that is closed, or is at or before `open_end`:
  // such a one may be taken back and be another one the next time, which `previous` then tells. Throws Error
  // (stop) on a damaged row, and where the row after `sequence` was trimmed.
  std::optional<Entry> next(std::uint64_t sequence, std::uint64_t open_end = 0);

  std::string incarnation();
  // The oldest sequence that is kept; 1 where there is none.
  std::uint64_t first();
  // The last sequence that closes a transaction; 0 where there is none.
  std::uint64_t end();
  // Empty where that row is not there (never written, or trimmed).
  std::optional<std::string> digest_at(std::uint64_t sequence);

  struct Backlog {
    std::uint64_t entries = 0, transactions = 0, rows = 0, bytes = 0;
    std::int64_t oldest_written_at_us = 0;  // 0: nothing waits
  };
  Backlog backlog_after(std::uint64_t sequence);
  std::uint64_t total_bytes();  // of all bodies that are kept, as stored
  std::uint64_t bytes_since(std::int64_t written_at_us);

 private:
  struct Stored {
    Entry entry;  // without its part
    std::string body;
  };
  void read_after(std::uint64_t sequence);
  Entry unpacked(Stored stored);

  sqlite::Database state_;
  std::optional<sqlite::Statement> entries_;
  std::uint64_t end_ = 0;  // as it was last seen; the journal's end never goes back
  std::deque<Stored> ahead_;
  Decompressor decompressor_;
};

}  // namespace tidegate
