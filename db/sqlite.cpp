#include "db/sqlite.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <utility>

#include "db/error.hpp"
#include "db/sqlite_error.hpp"

namespace tidegate::sqlite {
namespace {

// A file that is there is not opened: closing it would drop the locks that other connections of this process
// have on it, and then another process that closes its last connection would delete the WAL under them.
void make_private_file(const std::string& path) {
  int file = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0 && errno == EEXIST) return;
  if (file < 0)
    throw Error("create " + path + ": " + std::system_category().message(errno), "", Advice::stop);
  close(file);
}

std::string uri_at_rest(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    const bool special = c == '%' || c == '?' || c == '#';
    uri += special ? std::string("%") + "0123456789ABCDEF"[c >> 4] + "0123456789ABCDEF"[c & 15]
                   : std::string(1, c);
  }
  return uri + "?immutable=1";
}

int progress(void* check) {
  return (*static_cast<std::function<bool()>*>(check))() ? 1 : 0;
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}

// SQLite counts every allocation under one global mutex unless told not to, before its first use.
void without_memory_statistics() {
  static const int once = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)once;
}

Database::Database(const std::string& path, Mode mode, std::chrono::milliseconds busy_timeout) : path_(path) {
  without_memory_statistics();
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (mode == Mode::create && path != ":memory:") make_private_file(path);
  const bool only_read = mode == Mode::read_only || mode == Mode::at_rest;
  flags |= only_read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (mode == Mode::at_rest) flags |= SQLITE_OPEN_URI;
  sqlite3* handle = nullptr;
  int code = sqlite3_open_v2(mode == Mode::at_rest ? uri_at_rest(path).c_str() : path.c_str(), &handle, flags,
                             nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) fail(code, "open", path_, handle);
  sqlite3_busy_timeout(handle, static_cast<int>(busy_timeout.count()));
}

Database Database::in_memory() {
  return Database(":memory:", Mode::create, std::chrono::milliseconds(0));
}

Statement Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v3(handle(), sql.data(), static_cast<int>(sql.size()), 0, &statement, nullptr);
  if (code != SQLITE_OK) fail(code, "prepare on", path_, handle());
  return Statement(*this, statement);
}

void Database::execute(const std::string& sql) {
  int code = sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code, "execute on", path_, handle());
}

std::int64_t Database::integer(std::string_view sql) {
  Statement statement = prepare(sql);
  if (!statement.step()) throw Error("no row from a query on " + path_, "", Advice::stop);
  return statement.integer(0);
}

std::string Database::text(std::string_view sql) {
  Statement statement = prepare(sql);
  if (!statement.step()) throw Error("no row from a query on " + path_, "", Advice::stop);
  return statement.text(0);
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle());
}
bool Database::in_transaction() const {
  return sqlite3_get_autocommit(handle()) == 0;
}
void Database::interrupt() {
  sqlite3_interrupt(handle());
}

void Database::set_triggers_enabled(bool enabled) {
  int code = sqlite3_db_config(handle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, enabled ? 1 : 0, nullptr);
  if (code != SQLITE_OK) fail(code, "switch triggers on", path_, handle());
}

void Database::set_progress_check(std::function<bool()> check) {
  progress_check_ = check ? std::make_unique<std::function<bool()>>(std::move(check)) : nullptr;
  sqlite3_progress_handler(handle(), 1000, progress_check_ ? progress : nullptr, progress_check_.get());
}

std::optional<Database::Complaint> Database::complaint_about(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v3(handle(), sql.data(), static_cast<int>(sql.size()), 0, &statement, nullptr);
  sqlite3_finalize(statement);
  if (code == SQLITE_OK) return std::nullopt;
  return Complaint{sqlite3_errmsg(handle()), sqlite3_error_offset(handle())};
}

void Database::refuse_double_quoted_texts() {
  int code = sqlite3_db_config(handle(), SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  if (code != SQLITE_OK) fail(code, "configure", path_, handle());
}

Database::ColumnFacts Database::column_facts(const std::string& table, const std::string& column) {
  const char* collation = nullptr;
  int autoincrement = 0;
  int code = sqlite3_table_column_metadata(handle(), "main", table.c_str(), column.c_str(), nullptr,
                                           &collation, nullptr, nullptr, &autoincrement);
  if (code != SQLITE_OK) fail(code, "describe column " + column + " of " + table + " in", path_, handle());
  return {collation ? collation : "BINARY", autoincrement != 0};
}

Transaction::Transaction(Database& database, Kind kind) : database_(database) {
  database_.execute(kind == Kind::immediate ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction() {
  // Some errors (a full disk, say) have rolled back already.
  if (open_ && database_.in_transaction())
    sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

std::string quoted(std::string_view identifier) {
  std::string out = "\"";
  for (char c : identifier) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace tidegate::sqlite
