// RAII over SQLite: connection, statement, transaction, session, changeset. One connection and all that hangs
// on it is used by one thread. Every failure throws Error with the extended result code's name; SQLITE_BUSY
// and SQLITE_LOCKED advise retry. Messages name the file and the operation, never a value.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/value.hpp"

struct sqlite3;
struct sqlite3_stmt;
struct sqlite3_session;

namespace tidegate::sqlite {

class Statement;

// What SQL calls as a function. The arguments are valid during the call only.
using Function = std::function<Value(std::span<const Value> arguments)>;

class Database {
 public:
  enum class Mode {
    read_only,   // never writes, and cannot open a WAL database whose -shm it would have to make
    at_rest,     // the same of a file that nobody writes and that has no WAL: nothing is made beside it
    read_write,  // the file must exist
    create,      // made with mode 0600 where it does not exist
  };
  // `busy_timeout` is how long a statement waits for another's lock.
  Database(const std::string& path, Mode mode, std::chrono::milliseconds busy_timeout);
  static Database in_memory();

  Statement prepare(std::string_view sql);
  // Runs one or more statements without results.
  void execute(const std::string& sql);
  // First column of the first row; throws where there is no row.
  std::int64_t integer(std::string_view sql);
  std::string text(std::string_view sql);

  std::int64_t changes() const;  // rows that the last INSERT, UPDATE or DELETE touched
  bool in_transaction() const;
  void set_triggers_enabled(bool enabled);
  void interrupt();  // the only call allowed from another thread
  // `check` is called about every 1,000 steps of the virtual machine; true makes the running statement fail
  // with SQLITE_INTERRUPT. An empty function takes it away.
  void set_progress_check(std::function<bool()> check);

  // Why a statement cannot be prepared, and at which byte of it (-1: SQLite does not say).
  struct Complaint {
    std::string message;
    int offset = -1;
  };
  std::optional<Complaint> complaint_about(std::string_view sql);
  // "x" is a name and never a text, so that a mistyped column is an error.
  void refuse_double_quoted_texts();

  static constexpr int any_number = -1;
  // Makes SQL's `name(…)` with that many arguments call `function`, which gives the same for the same
  // arguments: SQLite may call it once where a statement has it twice. What it throws fails the statement
  // that called it, with the exception's text as the cause: throw nothing that quotes a value. Kept until the
  // connection ends.
  void create_function(const std::string& name, int arguments, Function function);

  struct ColumnFacts {
    std::string collation;
    bool autoincrement = false;
  };
  ColumnFacts column_facts(const std::string& table, const std::string& column);

  // Raw bytes of the main database file, through SQLite's own open file: opening and closing it ourselves
  // would drop SQLite's POSIX locks. In WAL mode a page may have newer bytes in the WAL. False: it ends
  // earlier.
  bool read_file(std::int64_t offset, void* into, std::size_t size);
  // The start of the WAL's index (SQLite's own mapping of the -shm file): both copies of its header, the
  // first read before the second (they differ while a writer is changing them), and the count of checkpointed
  // frames. Only for a connection that has had a read transaction on a database in WAL mode: elsewhere SQLite
  // would make the file.
  static constexpr std::size_t wal_index_header_size = 2 * 48 + 4;
  std::array<std::uint8_t, wal_index_header_size> wal_index_header();

  const std::string& path() const { return path_; }
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
  std::unique_ptr<std::function<bool()>> progress_check_;
};

// A prepared statement. Parameters count from 1, columns from 0, as in SQLite.
class Statement {
 public:
  Statement& bind(int parameter, const Value& value);
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind_blob(int parameter, std::string_view bytes);
  // The columns of the row that `from` stands at become the parameters 1, 2, … as they are. Returns the bytes
  // of texts and blobs, and eight for each other value.
  std::size_t bind_columns(const Statement& from);
  template <typename... Args>
  Statement& bind_all(const Args&... args) {
    int parameter = 0;
    (bind(++parameter, args), ...);
    return *this;
  }

  bool step();  // true: a row is there
  void run();   // steps to the end and resets
  void reset();

  int columns() const;
  Value value(int column) const;
  void read_row(Row& into, int first_column, int count) const;  // reuses `into`'s strings
  std::int64_t integer(int column) const;
  std::string text(int column) const;        // "" for NULL
  std::string_view bytes(int column) const;  // valid until the next step
  bool is_null(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(Database& database, sqlite3_stmt* statement) : database_(&database), statement_(statement) {}
  Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// BEGIN, or BEGIN IMMEDIATE; rolls back in the destructor unless committed.
class Transaction {
 public:
  enum class Kind { deferred, immediate };
  explicit Transaction(Database& database, Kind kind = Kind::deferred);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

// `"name"`, with quotes doubled.
std::string quoted(std::string_view identifier);

// One change of a changeset. Values that the changeset does not carry are absent.
struct SessionChange {
  enum class Kind { insert, update, remove } kind;
  std::string table;
  std::vector<bool> key;  // which columns are of the primary key
  std::vector<std::optional<Value>> before, after;
};

// Records the writes that its own connection makes to the tables attached. SQLite's session extension.
class Session {
 public:
  explicit Session(Database& database);
  void attach(const std::string& table);
  bool empty() const;
  std::int64_t memory_used() const;
  // The changes recorded so far, each key once, in no particular order within a table.
  void read(const std::function<void(const SessionChange&)>& receive) const;

 private:
  struct Delete {
    void operator()(sqlite3_session* session) const;
  };
  Database* database_;
  std::unique_ptr<sqlite3_session, Delete> session_;
};

}  // namespace tidegate::sqlite
