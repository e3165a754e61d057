// A consistent copy of a SQLite database that others go on writing to, by SQLite's online backup.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "db/sqlite.hpp"

namespace tidegate::sqlite {

// Into a new file (0600, not in WAL mode), durable when it returns. In WAL mode the copy is of one snapshot,
// which is held meanwhile and makes no writer wait; else it goes in small steps and begins again after each
// write of another, for `longest` at most. Throws Error, and leaves a file that is no database, when it
// cannot go on or `stop` was asked for.
void copy_database(Database& from, const std::string& to, std::chrono::milliseconds longest,
                   std::stop_token stop = {});

}  // namespace tidegate::sqlite
