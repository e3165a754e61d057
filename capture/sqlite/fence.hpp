// The fence of a legacy SQLite file: it refuses the application's writes once another database is live. Three
// triggers per table that raise, and the table `_tidegate_fence` that says which run made it. Connections
// with triggers switched off pass: those are ours. DDL passes as well, so the fence must be looked at.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "db/sqlite.hpp"

namespace tidegate::capture {

// Statements that make the fence over every ordinary table of the file, to be run in one transaction that has
// the write lock since before they were made. None of them waits or reads rows.
std::string fence_sql(sqlite::Database& live, const std::string& run);
// Takes the fence away again for the run that makes the file live, in one durable transaction of its own;
// which run that was stays in the file. Can be repeated. Throws Error (retry) where the write lock is not to
// be had in time.
void open_legacy(const std::string& path, const std::string& run, std::chrono::milliseconds wait);
// Statements that take away whatever is there of it, the run's name too.
std::string unfence_sql(sqlite::Database& live);

// The run that fenced the file; absent where it is not fenced.
std::optional<std::string> fenced_by(sqlite::Database& live);
// The run that took the fence away; empty where there was none.
std::string opened_by(sqlite::Database& live);
// Tables that the application can write to in spite of the fence: made later, or their triggers were dropped.
std::vector<std::string> unfenced_tables(sqlite::Database& live);

// Whether the file is fenced, for good: under its write lock, so that nobody is still committing a fence, and
// where there is none, followed by a commit that changes nothing. A process that was killed while it
// committed may have left its frames behind the WAL's published end, where the next recovery would find them;
// that commit goes over them. Throws Error (retry) where the lock is not to be had in time.
std::optional<std::string> settle_fence(const std::string& path, std::chrono::milliseconds wait);

}  // namespace tidegate::capture
