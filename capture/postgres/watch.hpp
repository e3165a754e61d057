// What an operator must know of the source's server while it is replicated: how far the slot is from being
// lost, and who holds it back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capture/postgres/catalog.hpp"
#include "db/postgres.hpp"

namespace tidegate::capture {

struct SlotFacts {
  bool active = false;
  int active_pid = 0;                            // 0: nobody reads it
  std::string wal_status;                        // reserved, extended, unreserved, lost
  std::string restart_lsn, confirmed_flush_lsn;  // "" where the slot has none
  std::uint64_t written = 0;                     // the end of the source's log, in bytes from its beginning
  std::uint64_t lag_bytes = 0;                   // written since what we confirmed
  std::uint64_t retained_bytes = 0;              // WAL on the source's disk for this slot
  std::optional<std::int64_t> safe_wal_size;     // bytes that may still be written before the slot is lost;
                                                 // absent: there is no limit
  bool lost() const { return wal_status == "lost"; }
};

// A transaction that others wait for: WAL from its beginning on is kept for the slot.
struct OldTransaction {
  int pid = 0;                // 0: a prepared one
  std::string prepared_name;  // of a prepared one
  std::string application, user;
  double seconds = 0;
};

struct ServerFacts {
  int version = 0;                           // 150018
  std::string wal_level;                     // logical, replica, minimal
  std::int64_t max_slot_wal_keep_size = -1;  // bytes; -1: no limit
  int slots_used = 0, slots_max = 0;
  int senders_used = 0, senders_max = 0;
  bool is_standby = false;
  int slots_free() const { return slots_max - slots_used; }
  int senders_free() const { return senders_max - senders_used; }
};

struct SourceWatch {
  ServerFacts server;
  std::optional<SlotFacts> slot;    // absent: there is no slot of that name
  std::vector<OldTransaction> old;  // that have written or are prepared, oldest first, at most 5
};

// Four reads of the server's own views, no locks. An ordinary role sees others' transactions by age only
// where it is a member of pg_monitor or pg_read_all_stats; their slots always.
SourceWatch watch(postgres::Connection& source, const std::string& slot);
ServerFacts read_server_facts(postgres::Connection& source);

struct SequenceValue {
  std::string schema, name;                // of the sequence
  std::string table, column;               // source name, and the column that draws from it
  std::optional<std::int64_t> last_value;  // absent: nothing was drawn yet
  std::int64_t increment = 1;
};
// Of the tables' sequences, one for each column that draws. What our role may not read is left out.
std::vector<SequenceValue> read_sequences(postgres::Connection& source,
                                          const std::vector<PostgresTable>& tables);

// Writes a transactional message (prefix "tidegate") into the WAL: a marker in the stream, and a heartbeat,
// with which a slot moves on although nobody writes to published tables. Touches no table.
void emit_message(postgres::Connection& source, const std::string& content);
inline constexpr const char* kMessagePrefix = "tidegate";

}  // namespace tidegate::capture
