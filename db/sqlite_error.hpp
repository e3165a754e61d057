// How db/ turns SQLite's result codes into Error. For the files of db/ that call SQLite only.
#pragma once

#include <source_location>
#include <string>

struct sqlite3;

namespace tidegate::sqlite {

// Throws Error: "OPERATION PATH: cause", with the extended code's name and what to do. `handle`: where the
// cause is to be had in words; it names tables and columns, never a value.
[[noreturn]] void fail(int code, const std::string& operation, const std::string& path, sqlite3* handle,
                       std::source_location where = std::source_location::current());

}  // namespace tidegate::sqlite
