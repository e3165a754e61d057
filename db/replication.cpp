#include "db/replication.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <openssl/ssl.h>
#include <poll.h>

#include <algorithm>
#include <charconv>

#include "db/error.hpp"

namespace tidegate::postgres {
namespace {

using std::chrono::milliseconds;

// The envelope's messages: type, then numbers in network order.
constexpr std::size_t xlog_data_header = 1 + 8 + 8 + 8, keepalive_size = 1 + 8 + 8 + 1;
constexpr std::int64_t postgres_epoch_us = 946684800000000;  // 2000-01-01 as Unix time

std::uint64_t number_at(std::string_view bytes, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

void append_number(std::string& to, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) to += static_cast<char>(number >> shift & 0xff);
}

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (char c : name) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

ConnectOptions as_walsender(ConnectOptions options) {
  options.replication = true;
  return options;
}

Error malformed(const Connection& connection) {
  return Error("receive on " + connection.description() + ": a replication message that is none", "08P01",
               Advice::stop);
}

std::uint64_t hex_number(std::string_view text, bool& good) {
  std::uint32_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  good = good && error == std::errc() && end == text.data() + text.size();
  return number;
}

ssl_st* tls_of(PGconn* handle) {
  return static_cast<ssl_st*>(PQsslStruct(handle, "OpenSSL"));
}

// The server sends each message in a record of its own. Read as they come, each takes two system calls and a
// new buffer; read ahead, one call brings all that has arrived.
void read_ahead(PGconn* handle) {
  constexpr std::size_t buffer_size = 64 << 10;
  ssl_st* tls = tls_of(handle);
  if (!tls) return;
  SSL_clear_mode(tls, SSL_MODE_RELEASE_BUFFERS);
  SSL_set_default_read_buffer_len(tls, buffer_size);
  SSL_set_read_ahead(tls, 1);
}

// Is there a record that was read ahead? The socket does not show it. After a read that wanted more, what is
// there is a part of one.
bool has_record(PGconn* handle) {
  ssl_st* tls = tls_of(handle);
  return tls && SSL_has_pending(tls) == 1 && SSL_want_nothing(tls);
}

}  // namespace

Lsn parse_lsn(std::string_view text) {
  auto slash = text.find('/');
  bool good = slash != std::string_view::npos;
  if (good) {
    Lsn high = hex_number(text.substr(0, slash), good), low = hex_number(text.substr(slash + 1), good);
    if (good) return high << 32 | low;
  }
  throw Error("a log position that is none", "", Advice::stop);
}

std::string lsn_text(Lsn lsn) {
  return fmt::format("{:X}/{:X}", lsn >> 32, lsn & 0xffffffff);
}

void ReplicationConnection::FreeBytes::operator()(char* bytes) const {
  PQfreemem(bytes);
}

ReplicationConnection::ReplicationConnection(const ConnectOptions& options)
    : connection_(as_walsender(options)) {}

SystemIdentity ReplicationConnection::identify() {
  Result row = connection_.run("IDENTIFY_SYSTEM");
  if (row.rows() != 1 || row.columns() < 4) throw malformed(connection_);
  return {std::string(row.text(0, 0)), static_cast<std::uint32_t>(row.integer(0, 1)),
          parse_lsn(row.text(0, 2)), std::string(row.text(0, 3))};
}

CreatedSlot ReplicationConnection::create(const std::string& command, milliseconds patience) {
  connection_.run(fmt::format("SET lock_timeout = {}", patience.count()));
  Result row = connection_.run(command);
  if (row.rows() != 1 || row.columns() < 3) throw malformed(connection_);
  return {parse_lsn(row.text(0, 1)), std::string(row.text(0, 2))};
}

// The options in the old form, without parentheses, which all versions take.
CreatedSlot ReplicationConnection::create_slot(const std::string& name, bool two_phase,
                                               milliseconds patience) {
  return create("CREATE_REPLICATION_SLOT " + quoted(name) + " LOGICAL pgoutput NOEXPORT_SNAPSHOT" +
                    (two_phase ? " TWO_PHASE" : ""),
                patience);
}

CreatedSlot ReplicationConnection::create_temporary_slot(const std::string& name, milliseconds patience) {
  return create("CREATE_REPLICATION_SLOT " + quoted(name) + " TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT",
                patience);
}

void ReplicationConnection::drop_slot(const std::string& name, bool wait) {
  connection_.run("DROP_REPLICATION_SLOT " + quoted(name) + (wait ? " WAIT" : ""));
}

void ReplicationConnection::start(const std::string& slot, Lsn from, const Options& options) {
  std::string command = "START_REPLICATION SLOT " + quoted(slot) + " LOGICAL " + lsn_text(from) + " (";
  for (const auto& [name, value] : options) {
    if (command.back() != '(') command += ", ";
    command += quoted(name) + " " + literal(value);
  }
  try {
    connection_.run(command + ")");
  } catch (const Error& error) {
    if (error.code() != "55006") throw;
    throw Error(error.what(), error.code(), Advice::reconnect);
  }
  streaming_ = true;
  read_ahead(connection_.handle());
}

// True where the server has sent something.
bool ReplicationConnection::wait(milliseconds timeout, int wake) {
  pollfd watched[2] = {{PQsocket(connection_.handle()), POLLIN, 0}, {wake, POLLIN, 0}};
  poll(watched, wake < 0 ? 1 : 2, static_cast<int>(std::max<std::int64_t>(timeout.count(), 0)));
  return watched[0].revents != 0;
}

Received ReplicationConnection::taken(std::size_t size) {
  std::string_view bytes(message_.get(), size);
  if (bytes[0] == 'w' && size >= xlog_data_header) {
    return XLogData{number_at(bytes, 1), number_at(bytes, 9), bytes.substr(xlog_data_header)};
  }
  if (bytes[0] == 'k' && size == keepalive_size) {
    return Keepalive{number_at(bytes, 1), bytes[keepalive_size - 1] != 0};
  }
  throw malformed(connection_);
}

Received ReplicationConnection::receive(milliseconds timeout, int wake) {
  PGconn* handle = connection_.handle();
  for (bool waited = false;;) {
    char* bytes = nullptr;
    int size = PQgetCopyData(handle, &bytes, 1);
    message_.reset(bytes);
    if (size > 0) return taken(static_cast<std::size_t>(size));
    if (size == -2) connection_.fail("receive", nullptr);
    if (size == -1) {
      streaming_ = false;
      Result last(PQgetResult(handle));
      if (PQresultStatus(last.handle()) == PGRES_FATAL_ERROR) connection_.fail("stream", last.handle());
      throw Error("the server " + connection_.description() + " ended the stream", "", Advice::reconnect);
    }
    if (!has_record(handle)) {
      if (waited || !wait(timeout, wake)) return std::monostate();
      waited = true;
    }
    if (!PQconsumeInput(handle)) connection_.fail("receive", nullptr);
  }
}

void ReplicationConnection::feedback(Lsn received, Lsn flushed, Lsn applied, bool reply_requested) {
  using namespace std::chrono;
  auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count() - postgres_epoch_us;
  std::string status = "r";
  for (Lsn lsn : {received, flushed, applied}) append_number(status, lsn);
  append_number(status, static_cast<std::uint64_t>(now));
  status += reply_requested ? '\1' : '\0';
  PGconn* handle = connection_.handle();
  if (PQputCopyData(handle, status.data(), static_cast<int>(status.size())) != 1 || PQflush(handle) < 0) {
    connection_.fail("send", nullptr);
  }
}

void ReplicationConnection::end(milliseconds timeout) noexcept {
  if (!streaming_ || !connection_.usable()) return;
  streaming_ = false;
  PGconn* handle = connection_.handle();
  if (PQputCopyEnd(handle, nullptr) != 1 || PQflush(handle) < 0) return;
  auto until = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    char* bytes = nullptr;
    int size = PQgetCopyData(handle, &bytes, 1);
    message_.reset(bytes);
    if (size < 0) return;
    auto left = std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    if (size == 0 && !has_record(handle) && !wait(left, -1)) return;
    if (size == 0 && !PQconsumeInput(handle)) return;
  }
}

}  // namespace tidegate::postgres
