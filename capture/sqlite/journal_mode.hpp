// Switches a live database to WAL, so that our reading never blocks the application's writing.
#pragma once

#include <chrono>

#include "db/sqlite.hpp"

namespace tidegate::capture {

// The switch is a lasting change to the application's file: the operator's to allow.
enum class Consent { withheld, given };

enum class WalOutcome {
  already_wal,
  switched,
  not_allowed,         // it is not WAL, and there is no consent: nothing was tried
  refused_by_readers,  // other connections were reading or writing whenever we tried; ask again later
};

struct WalPatience {
  // Over all tries.
  std::chrono::milliseconds total{2000};
  // How long one try may hold back new readers and writers while it waits for the readers at work. Used only
  // in the second half of `total`, a few times a second; the tries before do not wait. Zero where writers
  // read first and write later: such a transaction fails at once when it meets a try.
  std::chrono::milliseconds per_try{20};
};

// Where the mode could be read, the connection is primed afterwards; its busy timeout is as before. No
// transaction may be open on it. Throws Refused where the file cannot be in WAL mode at all (a database in
// memory, say). A crash at any point leaves a sound database in the old mode or the new.
WalOutcome ensure_wal(sqlite::Database& database, Consent consent, WalPatience patience = {});

// Reads from the file, so that the connection knows its journal mode. In WAL mode it then also holds the file
// so that nobody can leave WAL while the connection is open; an unprimed connection does not.
void prime(sqlite::Database& database);

}  // namespace tidegate::capture
