// A value that SQLite hands to a function or reads from a changeset. For the files of db/ that call SQLite
// only.
#pragma once

#include <sqlite3.h>

#include <string_view>

#include "proto/value.hpp"

namespace tidegate::sqlite {

std::string_view text_of(sqlite3_value* value);  // its bytes, valid as long as `value` is
Value to_value(sqlite3_value* value);

}  // namespace tidegate::sqlite
