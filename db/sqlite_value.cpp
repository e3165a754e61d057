#include "db/sqlite_value.hpp"

namespace tidegate::sqlite {

std::string_view text_of(sqlite3_value* value) {
  auto text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return {text ? text : "", static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

Value to_value(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return static_cast<std::int64_t>(sqlite3_value_int64(value));
    case SQLITE_FLOAT:
      return sqlite3_value_double(value);
    case SQLITE_TEXT:
      return std::string(text_of(value));
    case SQLITE_BLOB: {
      auto bytes = static_cast<const char*>(sqlite3_value_blob(value));
      auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
      return Blob{size ? std::string(bytes, size) : std::string()};
    }
    default:
      return Null{};
  }
}

}  // namespace tidegate::sqlite
