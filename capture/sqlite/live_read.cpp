#include "capture/sqlite/live_read.hpp"

namespace tidegate::capture {
namespace {

using std::chrono::steady_clock;

// Waiting to read blocks nobody.
constexpr std::chrono::milliseconds busy_timeout{5000};

}  // namespace

// Read-write, since a reader of a WAL database takes its place in the -shm file.
sqlite::Database open_live(const std::string& path) {
  sqlite::Database live(path, sqlite::Database::Mode::read_write, busy_timeout);
  live.execute("PRAGMA query_only = ON; PRAGMA cache_size = -16384");
  return live;
}

Refused wal_needed(const std::string& path) {
  return Refused(
      "wal-needed",
      "reading " + path +
          " takes longer than the 100 ms for which tidegate may hold a read lock on a database without WAL",
      "let tidegate switch it to WAL with --allow-wal");
}

void read_live(const std::string& path, const std::function<void(sqlite::Database&)>& read) {
  sqlite::Database live = open_live(path);
  if (live.text("PRAGMA journal_mode") != "wal") {
    live.set_progress_check([began = steady_clock::now()] {
      return steady_clock::now() - began > longest_read_lock_without_wal;
    });
  }
  try {
    read(live);
  } catch (const Error& error) {
    if (error.code() != "SQLITE_INTERRUPT") throw;
    throw wal_needed(path);
  }
}

}  // namespace tidegate::capture
