#include "capture/postgres/slot.hpp"

#include <algorithm>

#include "db/error.hpp"

namespace tidegate {
namespace {

constexpr int first_with_invalidation_reason = 170000;

postgres::Lsn lsn_at(const postgres::Result& row, int column) {
  return row.is_null(0, column) ? 0 : postgres::parse_lsn(row.text(0, column));
}

const char* const resync_mend =
    "changes since then are gone: `tidegate reset source --confirm NAME` drops the slot, `tidegate reset "
    "--target "
    "--confirm NAME` takes away what was copied; then run with a new state directory";

}  // namespace

std::optional<SlotState> find_slot(postgres::Connection& connection, const std::string& name) {
  bool newer = connection.server_version() >= first_with_invalidation_reason;
  auto row = connection.run(
      "SELECT slot_name, coalesce(plugin, ''), coalesce(database, ''), temporary, coalesce(two_phase, false),"
      " active, coalesce(active_pid, 0), coalesce(wal_status, ''), restart_lsn, confirmed_flush_lsn, "
      "safe_wal_size, " +
      std::string(newer ? "coalesce(invalidation_reason, '')" : "''") +
      " FROM pg_catalog.pg_replication_slots WHERE slot_name = " + postgres::literal(name));
  if (row.rows() == 0) return std::nullopt;
  SlotState slot;
  slot.name = row.text(0, 0);
  slot.plugin = row.text(0, 1);
  slot.database = row.text(0, 2);
  slot.temporary = row.boolean(0, 3);
  slot.two_phase = row.boolean(0, 4);
  slot.active = row.boolean(0, 5);
  slot.active_pid = static_cast<int>(row.integer(0, 6));
  slot.wal_status = row.text(0, 7);
  slot.restart_lsn = lsn_at(row, 8);
  slot.confirmed_flush_lsn = lsn_at(row, 9);
  if (!row.is_null(0, 10)) slot.safe_wal_bytes = row.integer(0, 10);
  slot.invalidation_reason = row.text(0, 11);
  return slot;
}

void check_slot_name(const std::string& name) {
  bool good = !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (good) return;
  throw Refused("bad-slot-name", "the name of a replication slot cannot be \"" + name + "\"",
                "use 1 to 63 of the characters a-z, 0-9 and _");
}

void check_slot(const std::optional<SlotState>& slot, const std::string& name, const std::string& database,
                postgres::Lsn held) {
  if (!slot) throw Refused("slot-missing", "the source has no replication slot " + name, resync_mend);
  if (slot->plugin != "pgoutput" || slot->database != database || slot->temporary) {
    throw Refused(
        "slot-not-ours",
        "the replication slot " + name + " is not a permanent one of pgoutput in database " + database,
        "give [source] another slot's name");
  }
  if (slot->wal_status == "lost" || !slot->invalidation_reason.empty()) {
    throw Refused("slot-lost", "the source has given up the replication slot " + name, resync_mend);
  }
  if (held != 0 && slot->confirmed_flush_lsn > held) {
    throw Refused("slot-ahead",
                  "the replication slot " + name + " was consumed up to " +
                      postgres::lsn_text(slot->confirmed_flush_lsn) + ", and the journal ends at " +
                      postgres::lsn_text(held),
                  resync_mend);
  }
}

EnsuredSlot ensure_slot(const postgres::ConnectOptions& source, const std::string& name, bool two_phase,
                        std::chrono::milliseconds patience) {
  check_slot_name(name);
  postgres::ReplicationConnection connection(source);
  if (auto slot = find_slot(connection.sql(), name)) {
    check_slot(slot, name, connection.identify().database, 0);
    return {false, slot->confirmed_flush_lsn};
  }
  try {
    return {true, connection.create_slot(name, two_phase, patience).consistent_point};
  } catch (const Error& error) {
    if (error.code() != "55P03") throw;
    throw Error(
        "a transaction that is open in the source keeps the replication slot " + name + " from being made",
        error.code(), Advice::retry);
  }
}

bool drop_slot(const postgres::ConnectOptions& source, const std::string& name) {
  postgres::ReplicationConnection connection(source);
  if (!find_slot(connection.sql(), name)) return false;
  try {
    connection.drop_slot(name, false);
  } catch (const Error& error) {
    if (error.code() == "42704") return false;
    if (error.code() != "55006") throw;
    throw Error(error.what(), error.code(), Advice::retry);
  }
  return true;
}

}  // namespace tidegate
