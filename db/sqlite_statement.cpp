#include <sqlite3.h>

#include "db/sqlite.hpp"
#include "db/sqlite_error.hpp"

namespace tidegate::sqlite {

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement& Statement::bind(int parameter, std::int64_t value) {
  if (int code = sqlite3_bind_int64(statement_.get(), parameter, value)) {
    fail(code, "bind on", database_->path(), database_->handle());
  }
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view text) {
  const char* data = text.data() ? text.data() : "";
  if (int code = sqlite3_bind_text64(statement_.get(), parameter, data, text.size(), SQLITE_TRANSIENT,
                                     SQLITE_UTF8)) {
    fail(code, "bind on", database_->path(), database_->handle());
  }
  return *this;
}

Statement& Statement::bind_blob(int parameter, std::string_view bytes) {
  const char* data = bytes.data() ? bytes.data() : "";
  if (int code = sqlite3_bind_blob64(statement_.get(), parameter, data, bytes.size(), SQLITE_TRANSIENT)) {
    fail(code, "bind on", database_->path(), database_->handle());
  }
  return *this;
}

Statement& Statement::bind(int parameter, const Value& value) {
  if (auto* integer = std::get_if<std::int64_t>(&value)) return bind(parameter, *integer);
  if (auto* text = std::get_if<std::string>(&value)) return bind(parameter, std::string_view(*text));
  if (auto* blob = std::get_if<Blob>(&value)) return bind_blob(parameter, blob->bytes);
  auto* real = std::get_if<double>(&value);
  int code = real ? sqlite3_bind_double(statement_.get(), parameter, *real)
                  : sqlite3_bind_null(statement_.get(), parameter);
  if (code) fail(code, "bind on", database_->path(), database_->handle());
  return *this;
}

std::size_t Statement::bind_columns(const Statement& from) {
  std::size_t bytes = 0;
  for (int i = 0, count = from.columns(); i < count; ++i) {
    sqlite3_stmt* row = from.statement_.get();
    const int type = sqlite3_column_type(row, i);
    if (int code = sqlite3_bind_value(statement_.get(), i + 1, sqlite3_column_value(row, i)))
      fail(code, "bind on", database_->path(), database_->handle());
    const bool has_bytes = type == SQLITE_TEXT || type == SQLITE_BLOB;
    bytes += has_bytes ? static_cast<std::size_t>(sqlite3_column_bytes(row, i)) : sizeof(std::int64_t);
  }
  return bytes;
}

bool Statement::step() {
  int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  fail(code, "step on", database_->path(), database_->handle());
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
}
int Statement::columns() const {
  return sqlite3_column_count(statement_.get());
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::string_view Statement::bytes(int column) const {
  bool is_blob = sqlite3_column_type(statement_.get(), column) == SQLITE_BLOB;
  auto data = is_blob ? static_cast<const char*>(sqlite3_column_blob(statement_.get(), column))
                      : reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (!data) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}
std::string Statement::text(int column) const {
  return std::string(bytes(column));
}

Value Statement::value(int column) const {
  switch (sqlite3_column_type(statement_.get(), column)) {
    case SQLITE_INTEGER:
      return integer(column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement_.get(), column);
    case SQLITE_TEXT:
      return std::string(bytes(column));
    case SQLITE_BLOB:
      return Blob{std::string(bytes(column))};
    default:
      return Null{};
  }
}

void Statement::read_row(Row& into, int first_column, int count) const {
  into.resize(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    Value& slot = into[static_cast<std::size_t>(i)];
    int column = first_column + i;
    auto* reused = std::get_if<std::string>(&slot);
    if (reused && sqlite3_column_type(statement_.get(), column) == SQLITE_TEXT) {
      reused->assign(bytes(column));
    } else {
      slot = value(column);
    }
  }
}

}  // namespace tidegate::sqlite
