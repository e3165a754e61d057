// RAII over libpq: connection, result, COPY, pipeline. One connection is used by one thread. Every failure
// throws Error with the SQLSTATE; a result that nobody looked at cannot happen, since each is checked where
// it is received.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct pg_conn;
struct pg_result;

namespace tidegate::postgres {

// Text form of a parameter; nullopt is NULL.
using Parameter = std::optional<std::string>;

class Result {
 public:
  explicit Result(pg_result* result) : result_(result) {}
  int rows() const;
  int columns() const;
  bool is_null(int row, int column) const;
  std::string_view text(int row, int column) const;  // valid as long as the result
  std::int64_t integer(int row, int column) const;
  bool boolean(int row, int column) const;
  std::string_view command() const;  // the command tag, e.g. "COMMIT"
  std::int64_t affected() const;     // rows that an INSERT, UPDATE, DELETE or COPY touched
  pg_result* handle() const { return result_.get(); }

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

struct Command {
  std::string sql;  // prepared once per connection, found again by its text
  std::vector<Parameter> parameters;
  bool once = false;  // not kept, and parsed only when what precedes it in its pipeline has been carried out
};

struct ConnectOptions {
  std::string url;               // any form that libpq takes
  std::string application_name;  // shown in pg_stat_activity
  std::string ca_file;           // empty: as the URL says
  std::chrono::seconds connect_timeout{10};
  // The server's answer may take long (an index build), so statements have no time limit; a dead peer is
  // noticed by TCP within this time.
  std::chrono::seconds dead_peer_timeout{30};
  bool replication = false;  // a walsender connection: statements without parameters only
};

class Connection {
 public:
  // Sets the session up so that text forms are stable: UTF-8, ISO dates, UTC, full float digits, no time
  // limits but lock_timeout. Throws Error; messages name host, port, database and user, never a password.
  explicit Connection(const ConnectOptions& options);

  Result run(const std::string& sql);  // one statement or several without parameters; the last one's result
  Result run(const std::string& sql, const std::vector<Parameter>& parameters);
  // All in one round trip; the first failure is thrown after every result was received. Within an open
  // transaction the transaction is then in the failed state. COPY is not allowed here.
  std::vector<Result> pipeline(const std::vector<Command>& commands);

  // COPY … FROM STDIN: begin, any number of data calls, then end, which returns the rows that the server
  // took. After an Error from data or end the COPY is over, and the transaction failed.
  void copy_begin(const std::string& sql);
  void copy_data(std::string_view bytes);
  std::int64_t copy_end();
  void copy_abort() noexcept;
  // COPY … TO STDOUT: begin, then read until it returns false. Each call appends what came next, one row
  // mostly. After an Error the COPY is over, and the transaction failed.
  void copy_out_begin(const std::string& sql) { copy_begin(sql); }
  bool copy_read(std::string& into);

  bool in_transaction() const;
  bool usable() const;         // false once the connection is gone
  int server_version() const;  // e.g. 150018
  int backend_pid() const;
  std::string description() const;  // "host:port/database as user"
  // "PGHOST=…", "PGPASSWORD=…": what a child process needs to connect to the same server as the same role.
  // Holds the password: for a child's environment only.
  std::vector<std::string> environment() const;

  // For the rest of db/ only: the house's rules keep calls of libpq there.
  pg_conn* handle() const { return connection_.get(); }
  [[noreturn]] void fail(std::string_view operation, const pg_result* result);

 private:
  struct Finish {
    void operator()(pg_conn* connection) const;
  };
  const std::string& prepared(const std::string& sql);
  void prepare_all(const std::vector<Command>& commands);
  void send(const Command& command);
  void flush();
  Result receive(const std::string& sql);
  Result checked(pg_result* result, std::string_view operation);

  std::unique_ptr<pg_conn, Finish> connection_;
  std::unordered_map<std::string, std::string> prepared_;
};

// COMMIT. Throws Error: with Advice::in_doubt where the answer was lost, and where the transaction had failed
// (the server answers that with success and the tag ROLLBACK).
void commit(Connection& connection);

// BEGIN; rolls back in the destructor unless committed.
class Transaction {
 public:
  explicit Transaction(Connection& connection, const char* begin = "BEGIN");
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Connection& connection_;
  bool open_ = true;
};

// 'text' as a literal, for the few statements that take no parameters.
std::string literal(std::string_view text);
// A bytea's text form, and back.
std::string bytea(std::string_view bytes);
std::string from_bytea(std::string_view text);

}  // namespace tidegate::postgres
