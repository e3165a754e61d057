#include "db/sqlite_error.hpp"

#include <sqlite3.h>

#include <filesystem>

#include "db/error.hpp"

namespace tidegate::sqlite {
namespace {

std::string code_name(int code) {
  switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return "SQLITE_CONSTRAINT_UNIQUE";
    case SQLITE_CONSTRAINT_NOTNULL:
      return "SQLITE_CONSTRAINT_NOTNULL";
    case SQLITE_CONSTRAINT_CHECK:
      return "SQLITE_CONSTRAINT_CHECK";
  }
  switch (code & 0xff) {
    case SQLITE_BUSY:
      return "SQLITE_BUSY";
    case SQLITE_LOCKED:
      return "SQLITE_LOCKED";
    case SQLITE_FULL:
      return "SQLITE_FULL";
    case SQLITE_IOERR:
      return "SQLITE_IOERR";
    case SQLITE_CORRUPT:
      return "SQLITE_CORRUPT";
    case SQLITE_NOTADB:
      return "SQLITE_NOTADB";
    case SQLITE_CANTOPEN:
      return "SQLITE_CANTOPEN";
    case SQLITE_READONLY:
      return "SQLITE_READONLY";
    case SQLITE_INTERRUPT:
      return "SQLITE_INTERRUPT";
    case SQLITE_CONSTRAINT:
      return "SQLITE_CONSTRAINT";
    case SQLITE_SCHEMA:
      return "SQLITE_SCHEMA";
    case SQLITE_TOOBIG:
      return "SQLITE_TOOBIG";
    default:
      return "SQLITE_ERROR";
  }
}

Advice advice_for(int code) {
  int primary = code & 0xff;
  bool again = primary == SQLITE_BUSY || primary == SQLITE_LOCKED || primary == SQLITE_SCHEMA;
  return again ? Advice::retry : Advice::stop;
}

// Where SQLite cannot make its -shm file for want of space it speaks of an I/O error.
bool is_want_of_space(int code, const std::string& path) {
  constexpr std::uintmax_t shm_file = 32 * 1024;
  if ((code & 0xff) != SQLITE_IOERR || path.empty()) return false;
  std::error_code unknown;
  const auto space = std::filesystem::space(std::filesystem::path(path).parent_path(), unknown);
  return !unknown && space.available < shm_file;
}

}  // namespace

void fail(int code, const std::string& operation, const std::string& path, sqlite3* handle,
          std::source_location where) {
  // sqlite3_errmsg names tables and columns, but not values: constraint errors say "UNIQUE constraint failed:
  // t.c".
  std::string cause = handle ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  if (is_want_of_space(code, path)) {
    code = SQLITE_FULL;
    cause = sqlite3_errstr(code);
  }
  throw Error(operation + " " + path + ": " + cause + " (" + std::to_string(code) + ")", code_name(code),
              advice_for(code), where);
}

}  // namespace tidegate::sqlite
