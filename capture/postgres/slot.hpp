// The replication slot that keeps the source's log for us, and what can be wrong with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "db/postgres.hpp"
#include "db/replication.hpp"

namespace tidegate {

struct SlotState {
  std::string name, plugin, database;  // plugin and database are empty for a physical slot
  bool temporary = false, two_phase = false, active = false;
  int active_pid = 0;                                      // of the server's process that uses it; 0: none
  std::string wal_status;                                  // reserved, extended, unreserved, lost
  postgres::Lsn restart_lsn = 0, confirmed_flush_lsn = 0;  // 0: none
  std::optional<std::int64_t> safe_wal_bytes;  // that can be written until it may be lost; empty: no limit
  std::string invalidation_reason;             // from PostgreSQL 17 on
};

// `connection` may be a walsender's.
std::optional<SlotState> find_slot(postgres::Connection& connection, const std::string& name);

// [a-z0-9_]{1,63}; throws Refused ("bad-slot-name").
void check_slot_name(const std::string& name);

// What the slot and the server must be like for a stream to go on where `held` (the end of what is
// journalled; 0: nothing yet) was reached. Throws Refused. Pure.
void check_slot(const std::optional<SlotState>& slot, const std::string& name, const std::string& database,
                postgres::Lsn held);

struct EnsuredSlot {
  bool made = false;
  // Where the stream begins: all that commits from here on comes. Of an existing slot what was confirmed.
  postgres::Lsn begins = 0;
};
// A permanent slot for pgoutput. The publication must be there before it: a slot made first decodes old
// changes with a publication that did not exist then, and fails. Waits for transactions that are open in the
// source, up to `patience` (zero: as long as it takes), then throws Error with Advice::retry. Throws Refused
// where a slot of that name is there that cannot be ours.
EnsuredSlot ensure_slot(const postgres::ConnectOptions& source, const std::string& name, bool two_phase,
                        std::chrono::milliseconds patience);

// False: there was none. An active slot is an Error with Advice::retry.
bool drop_slot(const postgres::ConnectOptions& source, const std::string& name);

}  // namespace tidegate
