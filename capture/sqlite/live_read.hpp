// Reads of the live file beside the stream: they never write, and never hold up an application that does not
// use WAL mode.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "db/error.hpp"
#include "db/sqlite.hpp"

namespace tidegate::capture {

// Without WAL a reader makes the app's commit wait, and fail after its own timeout; this is short beside any.
inline constexpr std::chrono::milliseconds longest_read_lock_without_wal{100};

// What is read at once there is kept in memory until it is written: more than this is refused as well.
inline constexpr std::size_t most_read_without_wal = 64 << 20;

// A connection that cannot write.
sqlite::Database open_live(const std::string& path);

Refused wal_needed(const std::string& path);

// Runs `read` on a connection of its own. Throws wal_needed() where the file is not in WAL mode and the read
// takes longer than the lock may last.
void read_live(const std::string& path, const std::function<void(sqlite::Database&)>& read);

}  // namespace tidegate::capture
