// SQLite's session API is only declared when these are set before its header.
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include "db/sqlite.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <utility>

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

[[noreturn]] void fail(int code, const std::string& operation, const std::string& path, sqlite3* handle,
                       std::source_location where = std::source_location::current()) {
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

// A file that is there is not opened: closing it would drop the locks that other connections of this process
// have on it, and then another process that closes its last connection would delete the WAL under them.
void make_private_file(const std::string& path) {
  int file = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0 && errno == EEXIST) return;
  if (file < 0)
    throw Error("create " + path + ": " + std::system_category().message(errno), "", Advice::stop);
  close(file);
}

int progress(void* check) {
  return (*static_cast<std::function<bool()>*>(check))() ? 1 : 0;
}

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
  flags |= mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  sqlite3* handle = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
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

namespace {

// One function of a connection, and room for its arguments that is used again for each call.
struct Callable {
  Function function;
  Row arguments;
};

void take_arguments(int count, sqlite3_value** values, Row& into) {
  into.resize(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    Value& slot = into[static_cast<std::size_t>(i)];
    auto* reused = std::get_if<std::string>(&slot);
    if (reused && sqlite3_value_type(values[i]) == SQLITE_TEXT)
      reused->assign(text_of(values[i]));
    else
      slot = to_value(values[i]);
  }
}

void give_result(sqlite3_context* context, const Value& value) {
  if (auto* integer = std::get_if<std::int64_t>(&value)) return sqlite3_result_int64(context, *integer);
  if (auto* real = std::get_if<double>(&value)) return sqlite3_result_double(context, *real);
  if (auto* text = std::get_if<std::string>(&value))
    return sqlite3_result_text64(context, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (auto* blob = std::get_if<Blob>(&value))
    return sqlite3_result_blob64(context, blob->bytes.data(), blob->bytes.size(), SQLITE_TRANSIENT);
  sqlite3_result_null(context);
}

// Called by C code, which no exception may cross.
void call(sqlite3_context* context, int count, sqlite3_value** values) noexcept {
  try {
    auto& callable = *static_cast<Callable*>(sqlite3_user_data(context));
    take_arguments(count, values, callable.arguments);
    give_result(context, callable.function(callable.arguments));
  } catch (const std::bad_alloc&) {
    sqlite3_result_error_nomem(context);
  } catch (const std::exception& failure) {
    sqlite3_result_error(context, failure.what(), -1);
  }
}

}  // namespace

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

void Database::create_function(const std::string& name, int arguments, Function function) {
  constexpr int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
  auto callable = std::make_unique<Callable>(std::move(function), Row{});
  // SQLite calls the destructor where it fails, too.
  int code = sqlite3_create_function_v2(
      handle(), name.c_str(), arguments, flags, callable.release(),
      [](sqlite3_context* context, int count, sqlite3_value** values) { call(context, count, values); },
      nullptr, nullptr, [](void* held) { delete static_cast<Callable*>(held); });
  if (code != SQLITE_OK) fail(code, "make function " + name + " on", path_, handle());
}

Database::ColumnFacts Database::column_facts(const std::string& table, const std::string& column) {
  const char* collation = nullptr;
  int autoincrement = 0;
  int code = sqlite3_table_column_metadata(handle(), "main", table.c_str(), column.c_str(), nullptr,
                                           &collation, nullptr, nullptr, &autoincrement);
  if (code != SQLITE_OK) fail(code, "describe column " + column + " of " + table + " in", path_, handle());
  return {collation ? collation : "BINARY", autoincrement != 0};
}

namespace {

sqlite3_file* open_file(Database& database) {
  sqlite3_file* file = nullptr;
  int code = sqlite3_file_control(database.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (code == SQLITE_OK && (!file || !file->pMethods)) code = SQLITE_CANTOPEN;
  if (code != SQLITE_OK) fail(code, "find the open file of", database.path(), nullptr);
  return file;
}

// Shared memory that other processes write: word by word, so that the compiler neither repeats nor skips a
// read.
void copy_words(std::uint8_t* into, const volatile std::uint32_t* from, std::size_t words) {
  for (std::size_t i = 0; i < words; ++i) {
    std::uint32_t word = from[i];
    std::memcpy(into + 4 * i, &word, sizeof word);
  }
}

}  // namespace

bool Database::read_file(std::int64_t offset, void* into, std::size_t size) {
  sqlite3_file* file = open_file(*this);
  int code = file->pMethods->xRead(file, into, static_cast<int>(size), offset);
  if (code == SQLITE_IOERR_SHORT_READ) return false;
  if (code != SQLITE_OK) fail(code, "read", path_, nullptr);
  return true;
}

std::array<std::uint8_t, Database::wal_index_header_size> Database::wal_index_header() {
  constexpr int region_size = 32 * 1024;  // the unit in which SQLite maps the -shm file
  sqlite3_file* file = open_file(*this);
  volatile void* region = nullptr;
  int code = SQLITE_IOERR;
  if (file->pMethods->iVersion >= 2) code = file->pMethods->xShmMap(file, 0, region_size, 0, &region);
  if (!region) fail(code, "map the WAL's index of", path_, nullptr);
  std::array<std::uint8_t, wal_index_header_size> header;
  auto words = static_cast<const volatile std::uint32_t*>(region);
  constexpr std::size_t copy = 12;
  copy_words(header.data(), words, copy);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  copy_words(header.data() + 4 * copy, words + copy, copy + 1);
  return header;
}

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

void Session::Delete::operator()(sqlite3_session* session) const {
  sqlite3session_delete(session);
}

Session::Session(Database& database) : database_(&database) {
  sqlite3_session* session = nullptr;
  if (int code = sqlite3session_create(database.handle(), "main", &session)) {
    fail(code, "record a session on", database.path(), database.handle());
  }
  session_.reset(session);
}

void Session::attach(const std::string& table) {
  if (int code = sqlite3session_attach(session_.get(), table.c_str())) {
    fail(code, "attach a session on", database_->path(), database_->handle());
  }
}

bool Session::empty() const {
  return sqlite3session_isempty(session_.get()) != 0;
}
std::int64_t Session::memory_used() const {
  return sqlite3session_memory_used(session_.get());
}

namespace {

// Finalizing also reports an error that ended the iteration early, so it is called by name, once, on the good
// path.
class ChangesetIterator {
 public:
  ChangesetIterator(int size, void* bytes) {
    if (int code = sqlite3changeset_start(&iterator_, size, bytes)) fail(code, "read", "changeset", nullptr);
  }
  ~ChangesetIterator() {
    if (iterator_) sqlite3changeset_finalize(iterator_);
  }
  ChangesetIterator(const ChangesetIterator&) = delete;
  ChangesetIterator& operator=(const ChangesetIterator&) = delete;

  bool next() { return sqlite3changeset_next(iterator_) == SQLITE_ROW; }
  void finish() {
    int code = sqlite3changeset_finalize(std::exchange(iterator_, nullptr));
    if (code != SQLITE_OK) fail(code, "read", "changeset", nullptr);
  }

  SessionChange change() const {
    const char* table = nullptr;
    int columns = 0, operation = 0, indirect = 0;
    unsigned char* key = nullptr;
    sqlite3changeset_op(iterator_, &table, &columns, &operation, &indirect);
    sqlite3changeset_pk(iterator_, &key, nullptr);
    SessionChange out{kind_of(operation), table, {}, {}, {}};
    for (int i = 0; i < columns; ++i) {
      out.key.push_back(key[i] != 0);
      if (operation != SQLITE_INSERT) out.before.push_back(value(sqlite3changeset_old, i));
      if (operation != SQLITE_DELETE) out.after.push_back(value(sqlite3changeset_new, i));
    }
    return out;
  }

 private:
  static SessionChange::Kind kind_of(int operation) {
    if (operation == SQLITE_INSERT) return SessionChange::Kind::insert;
    return operation == SQLITE_DELETE ? SessionChange::Kind::remove : SessionChange::Kind::update;
  }

  template <typename Getter>
  std::optional<Value> value(Getter getter, int column) const {
    sqlite3_value* found = nullptr;
    if (int code = getter(iterator_, column, &found)) fail(code, "read", "changeset", nullptr);
    if (!found) return std::nullopt;
    return to_value(found);
  }

  sqlite3_changeset_iter* iterator_ = nullptr;
};

}  // namespace

void Session::read(const std::function<void(const SessionChange&)>& receive) const {
  int size = 0;
  void* bytes = nullptr;
  if (int code = sqlite3session_changeset(session_.get(), &size, &bytes)) {
    fail(code, "take the changeset of", database_->path(), database_->handle());
  }
  std::unique_ptr<void, void (*)(void*)> owner(bytes, sqlite3_free);
  ChangesetIterator iterator(size, bytes);
  while (iterator.next()) receive(iterator.change());
  iterator.finish();
}

}  // namespace tidegate::sqlite
