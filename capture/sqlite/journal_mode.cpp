#include "capture/sqlite/journal_mode.hpp"

#include <random>
#include <thread>

#include "capture/sqlite/users_of_file.hpp"
#include "db/error.hpp"

namespace tidegate::capture {
namespace {

using Clock = std::chrono::steady_clock;
using sqlite::Database;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// Between tries that do not wait. Each holds its lock for some microseconds; at random moments, so that it
// falls into the gaps of a writer that works in a steady beat.
constexpr microseconds shortest_pause(500), longest_pause(5000);
// After a try that waited: more than the longest sleep of SQLite's own busy handler (100 ms), so that an
// application which met the try gets its turn before the next one. Without it tries in a row starve the
// application until its timeout.
constexpr milliseconds pause_after_waiting(250);

class BusyTimeout {
 public:
  explicit BusyTimeout(Database& database)
      : database_(database), before_(database.integer("PRAGMA busy_timeout")) {}
  ~BusyTimeout() {
    try {
      set(milliseconds(before_));
    } catch (const Error&) {  // only without memory; a destructor has no better answer
    }
  }
  BusyTimeout(const BusyTimeout&) = delete;
  BusyTimeout& operator=(const BusyTimeout&) = delete;

  void set(milliseconds timeout) {
    database_.execute("PRAGMA busy_timeout = " + std::to_string(timeout.count()));
  }

 private:
  Database& database_;
  std::int64_t before_;
};

// The mode that `pragma` answers with, the connection primed; empty where others hold the file. A lock that
// was taken in vain ends with its statement.
std::string mode_after(Database& database, const char* pragma) {
  try {
    prime(database);
    std::string mode = database.text(pragma);
    prime(database);
    return mode;
  } catch (const Error& error) {
    if (error.code() == "SQLITE_BUSY") return "";
    throw;
  }
}

class Tries {
 public:
  Tries(Database& database, WalPatience patience)
      : database_(database), timeout_(database), patience_(patience) {}

  // Repeats until the pragma is answered; empty where time ran out. A try that changes the mode is in vain
  // while somebody reads, and whoever reads first and writes later would fail where it meets one: so `looks`
  // makes such a try only where nobody is seen to have a lock.
  std::string mode_after_any(const char* pragma, bool looks) {
    for (;;) {
      bool waits = Clock::now() - start_ > patience_.total / 2 && patience_.per_try.count() > 0;
      timeout_.set(waits ? patience_.per_try : milliseconds(0));
      const bool in_vain = looks && !waits && is_locked_by_others(database_.path());
      std::string mode = in_vain ? "" : mode_after(database_, pragma);
      microseconds pause = waits ? pause_after_waiting : microseconds(pause_(random_));
      if (!mode.empty() || Clock::now() + pause - start_ > patience_.total) return mode;
      std::this_thread::sleep_for(pause);
    }
  }

 private:
  Database& database_;
  BusyTimeout timeout_;
  WalPatience patience_;
  Clock::time_point start_ = Clock::now();
  std::mt19937 random_{std::random_device()()};
  std::uniform_int_distribution<microseconds::rep> pause_{shortest_pause.count(), longest_pause.count()};
};

}  // namespace

void prime(Database& database) {
  database.integer("SELECT count(*) FROM main.sqlite_schema");
}

WalOutcome ensure_wal(Database& database, Consent consent, WalPatience patience) {
  Tries tries(database, patience);
  std::string mode = tries.mode_after_any("PRAGMA main.journal_mode", false);
  if (mode == "wal") return WalOutcome::already_wal;
  if (mode.empty()) return WalOutcome::refused_by_readers;
  if (consent == Consent::withheld) return WalOutcome::not_allowed;
  mode = tries.mode_after_any("PRAGMA main.journal_mode = WAL", true);
  if (mode == "wal") return WalOutcome::switched;
  if (mode.empty()) return WalOutcome::refused_by_readers;
  throw Refused("wal-impossible", "SQLite cannot keep " + database.path() + " in WAL mode",
                "put it on a local disk with shared memory, or go on without --allow-wal");
}

}  // namespace tidegate::capture
