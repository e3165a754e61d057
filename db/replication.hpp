// A walsender connection: what replication slots are made with, and what a logical stream is received on. The
// stream's bytes are the output plugin's; this only knows the envelope. Used by one thread; nothing in it
// waits longer than it is told, and nothing is sent but by a call.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "db/postgres.hpp"

namespace tidegate::postgres {

// A place in the source's write-ahead log. "16/B374D848" as a number, and back; parse throws Error (stop).
using Lsn = std::uint64_t;
Lsn parse_lsn(std::string_view text);
std::string lsn_text(Lsn lsn);

struct SystemIdentity {
  std::string identifier;  // of the cluster: the same on its standbys, another after initdb
  std::uint32_t timeline = 0;
  Lsn flushed = 0;  // the end of what the server has flushed
  std::string database;
};

struct CreatedSlot {
  Lsn consistent_point = 0;
  std::string snapshot;  // empty unless exported
};

// Bytes of the output plugin. `payload` lives until the next call of receive().
struct XLogData {
  Lsn start = 0, end = 0;
  std::string_view payload;
};
// All that the stream has up to `end` was sent before.
struct Keepalive {
  Lsn end = 0;
  bool reply_requested = false;
};
using Received = std::variant<std::monostate, XLogData, Keepalive>;

class ReplicationConnection {
 public:
  // `options.url` as for any connection. Text forms are set up as Connection does: pgoutput's follow them.
  explicit ReplicationConnection(const ConnectOptions& options);

  SystemIdentity identify();

  // Both wait for every transaction that is open in the server and has written, as long as `patience` (zero:
  // as long as it takes), then throw Error with Advice::retry. The slot's plugin is pgoutput.
  CreatedSlot create_slot(const std::string& name, bool two_phase, std::chrono::milliseconds patience);
  // Gone with this connection. The snapshot can be imported until the next command on this connection.
  CreatedSlot create_temporary_slot(const std::string& name, std::chrono::milliseconds patience);
  // A slot in use is waited for only where `wait` says so.
  void drop_slot(const std::string& name, bool wait);

  // START_REPLICATION … LOGICAL. The options' names and values are quoted here. A slot that another
  // connection still uses is an Error with Advice::reconnect: our own earlier one may not have been noticed
  // as gone.
  using Options = std::vector<std::pair<std::string, std::string>>;
  void start(const std::string& slot, Lsn from, const Options& options);

  // The next message; nothing when none came within `timeout`, or when `wake` (a file descriptor, or -1) was
  // readable first. Throws Error when the server ended the stream.
  Received receive(std::chrono::milliseconds timeout, int wake = -1);
  // The standby status update. `flushed` and before is given up by the server: it must be durable here.
  void feedback(Lsn received, Lsn flushed, Lsn applied, bool reply_requested);
  // Says that no more is wanted and waits, no longer than `timeout`, until the server agrees, so that the
  // slot is free afterwards. Failures do not matter any more.
  void end(std::chrono::milliseconds timeout) noexcept;

  // For plain statements without parameters (the extended protocol is not there), and before start() only.
  Connection& sql() { return connection_; }

 private:
  struct FreeBytes {
    void operator()(char* bytes) const;
  };
  CreatedSlot create(const std::string& command, std::chrono::milliseconds patience);
  bool wait(std::chrono::milliseconds timeout, int wake);
  Received taken(std::size_t size);

  Connection connection_;
  std::unique_ptr<char, FreeBytes> message_;
  bool streaming_ = false;
};

}  // namespace tidegate::postgres
