// The write lock of a live SQLite file, for a moment.
#pragma once

#include <chrono>
#include <memory>

#include "db/sqlite.hpp"

namespace tidegate::capture {

// BEGIN IMMEDIATE, tried every 20 to 200 µs: a plain busy timeout sleeps too long to get in between the
// commits of a tight writer. Null when the lock was not to be had in time. The connection must have no busy
// timeout of its own.
std::unique_ptr<sqlite::Transaction> take_write_lock(sqlite::Database& writer,
                                                     std::chrono::milliseconds wait);

}  // namespace tidegate::capture
