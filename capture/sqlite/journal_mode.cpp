#include "capture/sqlite/journal_mode.hpp"

#include <thread>

#include "db/error.hpp"

namespace tidegate::capture {
namespace {

using Clock = std::chrono::steady_clock;
using sqlite::Database;
using std::chrono::milliseconds;

// Between tries. Long against the few microseconds in which a try that fails holds its lock, so that the
// application hardly meets one; short enough for the gaps between the transactions of a busy writer.
constexpr std::chrono::microseconds pause(700);

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

// False where others hold the file. The lock that a failed try took ends with its statement.
bool try_switch(Database& database) {
  try {
    if (database.text("PRAGMA main.journal_mode = WAL") == "wal") return true;
  } catch (const Error& error) {
    if (error.code() == "SQLITE_BUSY") return false;
    throw;
  }
  throw Refused("SQLite cannot keep " + database.path() +
                " in WAL mode: it needs a file on a local disk with shared memory");
}

bool switch_within(Database& database, WalPatience patience) {
  BusyTimeout timeout(database);
  const auto start = Clock::now(), end = start + patience.total;
  do {
    bool waits = Clock::now() - start > patience.total / 2;
    timeout.set(waits ? patience.per_try : milliseconds(0));
    if (try_switch(database)) return true;
    std::this_thread::sleep_for(pause);
  } while (Clock::now() < end);
  return false;
}

}  // namespace

void prime(Database& database) {
  database.integer("SELECT count(*) FROM main.sqlite_schema");
}

WalOutcome ensure_wal(Database& database, Consent consent, WalPatience patience) {
  prime(database);
  if (database.text("PRAGMA main.journal_mode") == "wal") return WalOutcome::already_wal;
  if (consent == Consent::withheld) return WalOutcome::not_allowed;
  if (!switch_within(database, patience)) return WalOutcome::refused_by_readers;
  prime(database);
  return WalOutcome::switched;
}

}  // namespace tidegate::capture
