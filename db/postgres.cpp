#include "db/postgres.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "db/error.hpp"

namespace tidegate::postgres {
namespace {

// Prepared statements on one connection. Statement texts depend on tables and columns only, so a few hundred
// is a lot; past the limit all are forgotten, since a leak on the server would be worse than preparing again.
constexpr std::size_t max_prepared = 500;

// Whatever the database or the role has for a default: how values are spelled and read, how long we may take,
// what a commit's answer means. The limits in the SELECT are not known to every server.
constexpr const char* session_setup =
    "SET client_encoding = 'UTF8'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET TimeZone "
    "= 'UTC'; "
    "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET standard_conforming_strings = on; "
    "SET xmloption = 'content'; SET array_nulls = on; SET lc_monetary = 'C'; "
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '20s'; "
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings "
    "WHERE name IN ('idle_session_timeout', 'transaction_timeout') AND setting <> '0'; "
    "SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off; "
    "SELECT pg_catalog.set_config('synchronous_commit', 'on', false) "
    "WHERE pg_catalog.current_setting('synchronous_commit') = 'off'; "
    "SET client_min_messages = 'warning'; SET search_path = ''; "
    // So that the server lets go of what a session held whose machine is gone.
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

bool starts_with_any(std::string_view state, std::initializer_list<std::string_view> prefixes) {
  for (auto prefix : prefixes) {
    if (state.starts_with(prefix)) return true;
  }
  return false;
}

Advice advice_for(std::string_view state) {
  if (state.empty() || starts_with_any(state, {"08", "57P"})) return Advice::reconnect;
  if (starts_with_any(state, {"40", "53", "55P03"})) return Advice::retry;
  return Advice::stop;
}

// Server messages of these classes quote names, never data.
bool quotes_no_data(std::string_view state) {
  return starts_with_any(
      state, {"08", "0A", "23", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "TG"});
}

std::string field(const PGresult* result, int code) {
  const char* text = result ? PQresultErrorField(result, code) : nullptr;
  return text ? text : "";
}

// One line, whatever libpq said in several.
std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (std::size_t at = 0; (at = text.find('\n', at)) != text.npos;) text.replace(at, 1, "; ");
  return text;
}

std::string cause_of(const PGresult* result, PGconn* connection, const std::string& state) {
  if (state.empty()) return trimmed(PQerrorMessage(connection));
  if (state == "53100")
    return "the server's disk is full: " + field(result, PG_DIAG_MESSAGE_PRIMARY) + " (SQLSTATE 53100)";
  if (quotes_no_data(state)) return field(result, PG_DIAG_MESSAGE_PRIMARY) + " (SQLSTATE " + state + ")";
  return "SQLSTATE " + state;
}

// The strings must outlive the connecting.
void add_keyword(std::vector<const char*>& keys, std::vector<const char*>& values, const char* key,
                 const char* value) {
  if (!*value) return;
  keys.push_back(key);
  values.push_back(value);
}

// Such a server converts nothing, but refuses to send what is no UTF-8 to a client that asked for that.
bool has_texts_of_any_bytes(PGconn* connection) {
  const char* encoding = PQparameterStatus(connection, "server_encoding");
  return encoding && std::string_view(encoding) == "SQL_ASCII";
}

// One look at the socket; long enough that a spin costs nothing, short enough that nobody waits for it.
void wait_for_socket(int socket, short events) {
  pollfd watched{socket, events, 0};
  poll(&watched, 1, 1000);
}

}  // namespace

void Result::Clear::operator()(pg_result* result) const {
  PQclear(result);
}
int Result::rows() const {
  return PQntuples(handle());
}
int Result::columns() const {
  return PQnfields(handle());
}
bool Result::is_null(int row, int column) const {
  return PQgetisnull(handle(), row, column) != 0;
}

std::string_view Result::text(int row, int column) const {
  return {PQgetvalue(handle(), row, column), static_cast<std::size_t>(PQgetlength(handle(), row, column))};
}

std::int64_t Result::integer(int row, int column) const {
  return std::strtoll(PQgetvalue(handle(), row, column), nullptr, 10);
}

bool Result::boolean(int row, int column) const {
  return text(row, column) == "t";
}
std::int64_t Result::affected() const {
  return std::strtoll(PQcmdTuples(handle()), nullptr, 10);
}

std::string_view Result::command() const {
  return PQcmdStatus(handle());
}

void Connection::Finish::operator()(pg_conn* connection) const {
  PQfinish(connection);
}

Connection::Connection(const ConnectOptions& options) {
  std::string timeout = std::to_string(options.connect_timeout.count());
  std::string dead_peer = std::to_string(options.dead_peer_timeout.count() * 1000);
  std::vector<const char*> keys, values;
  add_keyword(keys, values, "dbname", options.url.c_str());
  add_keyword(keys, values, "sslrootcert", options.ca_file.c_str());
  add_keyword(keys, values, "sslmode", options.ca_file.empty() ? "" : "verify-full");
  add_keyword(keys, values, "application_name", options.application_name.c_str());
  add_keyword(keys, values, "connect_timeout", timeout.c_str());
  add_keyword(keys, values, "tcp_user_timeout", dead_peer.c_str());
  add_keyword(keys, values, "keepalives_idle", "10");
  add_keyword(keys, values, "replication", options.replication ? "database" : "");
  keys.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectdbParams(keys.data(), values.data(), 1));
  if (!connection_ || PQstatus(connection_.get()) != CONNECTION_OK) {
    std::string cause = connection_ ? trimmed(PQerrorMessage(connection_.get())) : "out of memory";
    bool refused = cause.find("authentication failed") != std::string::npos ||
                   cause.find("does not exist") != std::string::npos ||
                   cause.find("no password supplied") != std::string::npos ||
                   cause.find("certificate") != std::string::npos;
    throw Error("connect to " + description() + ": " + cause, refused ? "28000" : "08001",
                refused ? Advice::stop : Advice::reconnect);
  }
  run(session_setup);
  if (has_texts_of_any_bytes(connection_.get())) run("SET client_encoding = 'SQL_ASCII'");
}

std::string Connection::description() const {
  auto text = [](const char* value) { return std::string(value ? value : "?"); };
  if (!connection_) return "the server";
  PGconn* c = connection_.get();
  return text(PQhost(c)) + ":" + text(PQport(c)) + "/" + text(PQdb(c)) + " as " + text(PQuser(c));
}

std::vector<std::string> Connection::environment() const {
  struct Free {
    void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
  };
  std::unique_ptr<PQconninfoOption, Free> options(PQconninfo(connection_.get()));
  std::vector<std::string> variables;
  for (const PQconninfoOption* option = options.get(); option && option->keyword; ++option) {
    const bool given = option->envvar && option->val && *option->val;
    if (given) variables.push_back(std::string(option->envvar) + "=" + option->val);
  }
  return variables;
}

bool Connection::usable() const {
  return PQstatus(connection_.get()) == CONNECTION_OK;
}
int Connection::server_version() const {
  return PQserverVersion(connection_.get());
}
int Connection::backend_pid() const {
  return PQbackendPID(connection_.get());
}

bool Connection::in_transaction() const {
  auto status = PQtransactionStatus(connection_.get());
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

void Connection::fail(std::string_view operation, const pg_result* result) {
  std::string state = field(result, PG_DIAG_SQLSTATE);
  Advice advice = usable() ? advice_for(state) : Advice::reconnect;
  Error error(
      std::string(operation) + " on " + description() + ": " + cause_of(result, connection_.get(), state),
      state, advice);
  error.constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
  error.table = field(result, PG_DIAG_TABLE_NAME);
  error.column = field(result, PG_DIAG_COLUMN_NAME);
  throw error;
}

Result Connection::checked(pg_result* raw, std::string_view operation) {
  Result result(raw);
  switch (PQresultStatus(raw)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
    case PGRES_EMPTY_QUERY:
      return result;
    default:
      fail(operation, raw);
  }
}

Result Connection::run(const std::string& sql) {
  return checked(PQexec(connection_.get(), sql.c_str()), "execute");
}

Result Connection::run(const std::string& sql, const std::vector<Parameter>& parameters) {
  std::vector<const char*> values;
  for (const Parameter& parameter : parameters) values.push_back(parameter ? parameter->c_str() : nullptr);
  return checked(PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                              values.data(), nullptr, nullptr, 0),
                 "execute");
}

const std::string& Connection::prepared(const std::string& sql) {
  if (auto found = prepared_.find(sql); found != prepared_.end()) return found->second;
  std::string name = "tidegate_" + std::to_string(prepared_.size() + 1);
  checked(PQprepare(connection_.get(), name.c_str(), sql.c_str(), 0, nullptr), "prepare");
  return prepared_.emplace(sql, name).first->second;
}

// Forgets before it prepares: none that this pipeline needs may go.
void Connection::prepare_all(const std::vector<Command>& commands) {
  auto unknown = std::count_if(commands.begin(), commands.end(), [this](const Command& command) {
    return !command.once && !prepared_.contains(command.sql);
  });
  if (unknown > 0 && prepared_.size() + static_cast<std::size_t>(unknown) > max_prepared) {
    run("DEALLOCATE ALL");
    prepared_.clear();
  }
  for (const Command& command : commands) {
    if (!command.once) prepared(command.sql);
  }
}

void Connection::send(const Command& command) {
  std::vector<const char*> values;
  for (const Parameter& parameter : command.parameters)
    values.push_back(parameter ? parameter->c_str() : nullptr);
  int count = static_cast<int>(values.size());
  int sent = command.once ? PQsendQueryParams(connection_.get(), command.sql.c_str(), count, nullptr,
                                              values.data(), nullptr, nullptr, 0)
                          : PQsendQueryPrepared(connection_.get(), prepared_.at(command.sql).c_str(), count,
                                                values.data(), nullptr, nullptr, 0);
  if (!sent) fail("send", nullptr);
}

// Sends what is buffered while taking in what the server answers meanwhile: with both buffers full and nobody
// reading, both sides would wait for ever.
void Connection::flush() {
  while (int state = PQflush(connection_.get())) {
    if (state < 0) fail("send", nullptr);
    wait_for_socket(PQsocket(connection_.get()), POLLIN | POLLOUT);
    if (!PQconsumeInput(connection_.get())) fail("receive", nullptr);
  }
}

namespace {

class PipelineMode {
 public:
  explicit PipelineMode(PGconn* connection) : connection_(connection) {
    PQsetnonblocking(connection_, 1);
    PQenterPipelineMode(connection_);
  }
  ~PipelineMode() {
    PQexitPipelineMode(connection_);
    PQsetnonblocking(connection_, 0);
  }
  PipelineMode(const PipelineMode&) = delete;
  PipelineMode& operator=(const PipelineMode&) = delete;

 private:
  PGconn* connection_;
};

// Takes results up to the sync message, so that the connection can be used again whatever happened.
void drain_pipeline(PGconn* connection) {
  for (int empty = 0; empty < 2;) {
    PGresult* raw = PQgetResult(connection);
    if (!raw) {
      ++empty;
      continue;
    }
    empty = 0;
    bool sync = PQresultStatus(raw) == PGRES_PIPELINE_SYNC;
    PQclear(raw);
    if (sync) return;
  }
}

}  // namespace

Result Connection::receive(const std::string& sql) {
  PGresult* raw = PQgetResult(connection_.get());
  if (!raw) fail("receive", nullptr);
  Result result = checked(raw, sql.substr(0, sql.find(' ')));
  if (PGresult* rest = PQgetResult(connection_.get()))
    PQclear(rest);  // the NULL that ends a command's results
  return result;
}

std::vector<Result> Connection::pipeline(const std::vector<Command>& commands) {
  prepare_all(commands);
  PipelineMode mode(connection_.get());
  for (const Command& command : commands) {
    send(command);
    flush();
  }
  if (!PQpipelineSync(connection_.get())) fail("send", nullptr);
  flush();
  std::vector<Result> results;
  try {
    for (const Command& command : commands) results.push_back(receive(command.sql));
  } catch (const Error&) {
    drain_pipeline(connection_.get());
    throw;
  }
  drain_pipeline(connection_.get());
  return results;
}

void Connection::copy_begin(const std::string& sql) {
  checked(PQexec(connection_.get(), sql.c_str()), "COPY");
}

void Connection::copy_data(std::string_view bytes) {
  if (PQputCopyData(connection_.get(), bytes.data(), static_cast<int>(bytes.size())) != 1)
    fail("COPY", nullptr);
}

std::int64_t Connection::copy_end() {
  if (PQputCopyEnd(connection_.get(), nullptr) != 1) fail("COPY", nullptr);
  PGresult* raw = PQgetResult(connection_.get());
  while (PGresult* rest = PQgetResult(connection_.get())) PQclear(rest);
  return checked(raw, "COPY").affected();
}

void Connection::copy_abort() noexcept {
  PQputCopyEnd(connection_.get(), "the client gave up");
  while (PGresult* rest = PQgetResult(connection_.get())) PQclear(rest);
}

bool Connection::copy_read(std::string& into) {
  char* bytes = nullptr;
  int size = PQgetCopyData(connection_.get(), &bytes, 0);
  if (size > 0) {
    into.append(bytes, static_cast<std::size_t>(size));
    PQfreemem(bytes);
    return true;
  }
  if (size == -2) fail("COPY", nullptr);
  PGresult* raw = PQgetResult(connection_.get());
  while (PGresult* rest = PQgetResult(connection_.get())) PQclear(rest);
  checked(raw, "COPY");
  return false;
}

Transaction::Transaction(Connection& connection, const char* begin) : connection_(connection) {
  connection_.run(begin);
}

Transaction::~Transaction() {
  if (!open_ || !connection_.usable() || !connection_.in_transaction()) return;
  try {
    connection_.run("ROLLBACK");
  } catch (const Error&) {
    // The connection is gone, and with it the transaction; the next use of the connection reports it.
  }
}

void commit(Connection& connection) {
  try {
    if (connection.run("COMMIT").command() == "COMMIT") return;
  } catch (const Error& error) {
    if (error.advice() != Advice::reconnect) throw;
    throw Error(error.what(), error.code(), Advice::in_doubt);
  }
  throw Error("commit on " + connection.description() + ": the transaction had failed", "25P02",
              Advice::stop);
}

void Transaction::commit() {
  open_ = false;
  postgres::commit(connection_);
}

std::string bytea(std::string_view bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string out = "\\x";
  for (unsigned char c : bytes) {
    out += digits[c >> 4];
    out += digits[c & 15];
  }
  return out;
}

std::string from_bytea(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 2; i + 1 < text.size(); i += 2) {
    out += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
  }
  return out;
}

std::string literal(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

}  // namespace tidegate::postgres
