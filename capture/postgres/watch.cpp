#include "capture/postgres/watch.hpp"

#include <map>

namespace tidegate::capture {
namespace {

constexpr const char* server_sql = R"(
SELECT pg_catalog.current_setting('wal_level'),
  (SELECT CASE WHEN s.setting::bigint < 0 THEN -1 ELSE s.setting::bigint * 1024 * 1024 END
   FROM pg_catalog.pg_settings s WHERE s.name = 'max_slot_wal_keep_size'),
  (SELECT count(*) FROM pg_catalog.pg_replication_slots), pg_catalog.current_setting('max_replication_slots'),
  (SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.backend_type = 'walsender'),
  pg_catalog.current_setting('max_wal_senders'), pg_catalog.pg_is_in_recovery())";

// A standby has no write position; what it has replayed stands in.
constexpr const char* slot_sql = R"(
SELECT s.active, coalesce(s.active_pid, 0), coalesce(s.wal_status, 'lost'), coalesce(s.restart_lsn::text, ''),
  coalesce(s.confirmed_flush_lsn::text, ''), coalesce(w.lsn - s.confirmed_flush_lsn, 0)::bigint,
  coalesce(w.lsn - s.restart_lsn, 0)::bigint, s.safe_wal_size, (w.lsn - '0/0')::bigint
FROM pg_catalog.pg_replication_slots s,
  (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
               ELSE pg_catalog.pg_current_wal_lsn() END AS lsn) w
WHERE s.slot_name = $1)";

constexpr const char* old_sql = R"(
SELECT a.pid, '' AS prepared, coalesce(a.application_name, '') AS application, coalesce(a.usename, '') AS name,
  coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start), 0)::double precision AS age
FROM pg_catalog.pg_stat_activity a
WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
UNION ALL
SELECT 0, p.gid, '', p.owner, extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::double precision
FROM pg_catalog.pg_prepared_xacts p
ORDER BY age DESC LIMIT 5)";

constexpr const char* sequences_sql = R"(
SELECT s.schemaname, s.sequencename, s.last_value, s.increment_by FROM pg_catalog.pg_sequences s
WHERE pg_catalog.has_sequence_privilege(
  pg_catalog.format('%I.%I', s.schemaname, s.sequencename), 'SELECT, USAGE')
ORDER BY s.schemaname COLLATE "C", s.sequencename COLLATE "C")";

std::uint64_t bytes_at(const postgres::Result& rows, int column) {
  const std::int64_t bytes = rows.integer(0, column);
  return bytes < 0 ? 0 : static_cast<std::uint64_t>(bytes);
}

std::optional<SlotFacts> read_slot(postgres::Connection& source, const std::string& name) {
  auto rows = source.run(slot_sql, {name});
  if (rows.rows() == 0) return std::nullopt;
  SlotFacts slot;
  slot.active = rows.boolean(0, 0);
  slot.active_pid = static_cast<int>(rows.integer(0, 1));
  slot.wal_status = rows.text(0, 2);
  slot.restart_lsn = rows.text(0, 3);
  slot.confirmed_flush_lsn = rows.text(0, 4);
  slot.lag_bytes = bytes_at(rows, 5);
  slot.retained_bytes = bytes_at(rows, 6);
  if (!rows.is_null(0, 7)) slot.safe_wal_size = rows.integer(0, 7);
  slot.written = bytes_at(rows, 8);
  return slot;
}

std::vector<OldTransaction> read_old(postgres::Connection& source) {
  auto rows = source.run(old_sql);
  std::vector<OldTransaction> old;
  for (int i = 0; i < rows.rows(); ++i) {
    old.push_back({static_cast<int>(rows.integer(i, 0)), std::string(rows.text(i, 1)),
                   std::string(rows.text(i, 2)), std::string(rows.text(i, 3)),
                   std::stod(std::string(rows.text(i, 4)))});
  }
  return old;
}

}  // namespace

ServerFacts read_server_facts(postgres::Connection& source) {
  auto rows = source.run(server_sql);
  ServerFacts facts;
  facts.version = source.server_version();
  facts.wal_level = rows.text(0, 0);
  facts.max_slot_wal_keep_size = rows.integer(0, 1);
  facts.slots_used = static_cast<int>(rows.integer(0, 2));
  facts.slots_max = static_cast<int>(rows.integer(0, 3));
  facts.senders_used = static_cast<int>(rows.integer(0, 4));
  facts.senders_max = static_cast<int>(rows.integer(0, 5));
  facts.is_standby = rows.boolean(0, 6);
  return facts;
}

SourceWatch watch(postgres::Connection& source, const std::string& slot) {
  return {read_server_facts(source), read_slot(source, slot), read_old(source)};
}

std::vector<SequenceValue> read_sequences(postgres::Connection& source,
                                          const std::vector<PostgresTable>& tables) {
  std::multimap<std::pair<std::string, std::string>, SequenceValue> by_name;
  for (const PostgresTable& table : tables) {
    for (const OwnedSequence& owned : table.sequences)
      by_name.emplace(std::pair(owned.schema, owned.name),
                      SequenceValue{owned.schema, owned.name, table.source, owned.column, {}, 1});
  }
  auto rows = source.run(sequences_sql);
  std::vector<SequenceValue> values;
  for (int i = 0; i < rows.rows(); ++i) {
    auto [known, end] = by_name.equal_range({std::string(rows.text(i, 0)), std::string(rows.text(i, 1))});
    for (; known != end; ++known) {
      if (!rows.is_null(i, 2)) known->second.last_value = rows.integer(i, 2);
      known->second.increment = rows.integer(i, 3);
      values.push_back(known->second);
    }
  }
  return values;
}

void emit_message(postgres::Connection& source, const std::string& content) {
  source.run("SELECT pg_catalog.pg_logical_emit_message(true, $1, $2)", {kMessagePrefix, content});
}

}  // namespace tidegate::capture
