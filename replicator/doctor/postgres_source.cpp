#include "replicator/doctor/postgres_source.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/schema/native/dump_filter.hpp"
#include "capture/postgres/pg_dump.hpp"
#include "db/error.hpp"
#include "replicator/config/units.hpp"
#include "replicator/doctor/legacy_return.hpp"
#include "replicator/doctor/server_link.hpp"
#include "replicator/doctor/server_orphans.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

constexpr int oldest_server = 140000;      // protocol 2 and logical messages came with PostgreSQL 14
constexpr int slots_for_snapshot = 2;      // the stream's, and a temporary one while the snapshot is read
constexpr double long_transaction = 60.0;  // seconds; making a slot waits for those that write

// Managed servers give REPLICATION by membership of a role of theirs.
constexpr const char* rights_sql = R"(
SELECT coalesce((SELECT r.rolreplication OR r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user), false)
    OR EXISTS (SELECT FROM pg_catalog.pg_roles m WHERE m.rolname = 'rds_replication'
               AND pg_catalog.pg_has_role(m.oid, 'MEMBER')),
  pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
  pg_catalog.pg_encoding_to_char(d.encoding), (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata),
  (SELECT (w.wal_bytes / greatest(extract(epoch FROM pg_catalog.now() - w.stats_reset) / 3600, 0.1))::bigint
   FROM pg_catalog.pg_stat_wal w)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())";

constexpr const char* tables_rights_sql = R"(
SELECT o.place, pg_catalog.row_security_active(o.oid), NOT pg_catalog.has_table_privilege(o.oid, 'SELECT')
FROM pg_catalog.unnest($1::pg_catalog.oid[]) WITH ORDINALITY o(oid, place))";

void read_rights(postgres::Connection& source, PostgresSourceFacts& facts) {
  auto rows = source.run(rights_sql);
  facts.may_replicate = rows.boolean(0, 0);
  facts.may_create = rows.boolean(0, 1);
  facts.encoding = rows.text(0, 2);
  facts.large_objects = static_cast<std::uint64_t>(rows.integer(0, 3));
  facts.wal_bytes_per_hour = static_cast<std::uint64_t>(rows.integer(0, 4));
}

void read_table_rights(postgres::Connection& source, PostgresSourceFacts& facts) {
  std::vector<std::string> oids;
  for (const auto& table : facts.tables) oids.push_back(std::to_string(table.oid));
  auto rows = source.run(tables_rights_sql, {fmt::format("{{{}}}", fmt::join(oids, ","))});
  for (int i = 0; i < rows.rows(); ++i) {
    const auto& table = facts.tables[static_cast<std::size_t>(rows.integer(i, 0) - 1)];
    if (rows.boolean(i, 1)) facts.row_security.push_back(table.source);
    if (rows.boolean(i, 2)) facts.unreadable.push_back(table.source);
  }
}

class Judge {
 public:
  Judge(const PostgresSourceFacts& facts, const PostgresSourceConsent& consent)
      : facts_(facts), consent_(consent) {}

  std::vector<Finding> all() {
    judge_server();
    judge_slots();
    judge_limit();
    judge_rights();
    judge_tables();
    judge_transactions();
    judge_contents();
    return std::move(findings_);
  }

 private:
  void find(Level level, const char* code, std::string message, std::string mend, std::string table = {}) {
    findings_.push_back({level, code, std::move(table), "", std::move(message), std::move(mend)});
  }

  void judge_server() {
    const auto& server = facts_.server;
    if (server.version < oldest_server)
      find(Level::block, "source-server-too-old",
           fmt::format("the source is PostgreSQL {}; tidegate reads from 14 on", server.version / 10000),
           "upgrade it");
    if (server.is_standby)
      find(Level::block, "source-is-standby", "the source is a standby, where no publication can be made",
           "connect to its primary");
    if (server.wal_level != "logical")
      find(Level::block, "wal-level", "wal_level is " + server.wal_level + " on the source",
           "ALTER SYSTEM SET wal_level = logical, and restart it at a time that suits its users");
    if (facts_.encoding == "SQL_ASCII")
      find(Level::warn, "sql-ascii",
           "the source's encoding is SQL_ASCII: its texts may hold any bytes, and what is not UTF-8 is "
           "quarantined",
           "mend such texts in the source");
  }

  void judge_slots() {
    const auto& server = facts_.server;
    const int slots = slots_for_snapshot - (facts_.has_slot ? 1 : 0);
    if (server.slots_free() < slots)
      find(Level::block, "no-free-slot",
           fmt::format("{} of {} replication slots are taken on the source; tidegate needs {} more",
                       server.slots_used, server.slots_max, slots),
           "drop slots that nobody reads, or raise max_replication_slots (needs a restart)");
    if (server.senders_free() < slots)
      find(Level::block, "no-free-wal-sender",
           fmt::format("{} of {} WAL senders are taken on the source; tidegate needs {} more",
                       server.senders_used, server.senders_max, slots),
           "raise max_wal_senders (needs a restart)");
  }

  std::string rate() const {
    return facts_.wal_bytes_per_hour
               ? fmt::format("; it writes about {} an hour", format_size(facts_.wal_bytes_per_hour))
               : std::string();
  }

  std::string time_of_room() const {
    if (!facts_.wal_bytes_per_hour || !consent_.wal_room) return "";
    return fmt::format(
        ", so the {} of [source] wal_room last for {:.1f} hours", format_size(consent_.wal_room),
        static_cast<double>(consent_.wal_room) / static_cast<double>(facts_.wal_bytes_per_hour));
  }

  void judge_limit() {
    const auto limit = facts_.server.max_slot_wal_keep_size;
    if (limit < 0) {
      const bool accepted = consent_.unbounded_wal;
      return find(
          accepted ? Level::warn : Level::block, "slot-without-limit",
          "max_slot_wal_keep_size is -1 on the source: while tidegate is away, its slot keeps WAL until the "
          "disk is full" +
              rate() + time_of_room(),
          accepted ? "watch the disk"
                   : "set max_slot_wal_keep_size (ALTER SYSTEM, no restart), or accept it: [source] "
                     "accept_unbounded_wal = true");
    }
    std::string away;
    if (facts_.wal_bytes_per_hour) {
      const double hours = static_cast<double>(limit) / static_cast<double>(facts_.wal_bytes_per_hour);
      away = fmt::format(", about {:.1f} hours at its average", hours);
    }
    find(Level::note, "slot-limit",
         fmt::format(
             "the source keeps {} of WAL for a slot{}: away for longer, tidegate must copy everything again",
             format_size(static_cast<std::uint64_t>(limit)), away),
         "");
  }

  void judge_rights() {
    if (!facts_.may_replicate)
      find(Level::block, "no-replication-right", "the source's role may not read a replication slot",
           "ALTER ROLE … REPLICATION, as a superuser");
    const bool has_publication = facts_.publication && facts_.publication->ours;
    if (!facts_.may_create && !has_publication)
      find(Level::block, "no-create-publication", "the source's role may not create publications",
           "GRANT CREATE ON DATABASE to it, or connect as the owner of the database");
    if (facts_.publication && !facts_.publication->ours)
      find(Level::block, "publication-not-ours",
           "the source has a publication of this pipeline's name that tidegate did not make",
           "drop or rename it, or give this pipeline another name");
    for (const auto& table : facts_.unreadable)
      find(Level::block, "table-not-readable", "the source's role may not read table " + table,
           "GRANT SELECT ON it", table);
    for (const auto& table : facts_.row_security)
      find(Level::block, "row-security-hides-rows",
           "policies of table " + table + " hide rows from the source's role",
           "connect as a role with BYPASSRLS, or as the table's owner", table);
  }

  void judge_tables() {
    if (facts_.tables.empty())
      find(Level::block, "no-tables", "the source has no table to replicate",
           "see [tables] include and exclude");
    for (const auto& one : capture::publication_obstacles(facts_.tables))
      find(Level::block, one.code.c_str(), one.message, one.mend, one.table);
    const auto level = consent_.identity_full ? Level::warn : Level::block;
    for (const auto& one : capture::identity_obstacles(facts_.tables))
      find(level, one.code.c_str(), one.message, one.mend, one.table);
    for (const auto& note : facts_.not_carried) {
      if (note.kind == "unlogged table")
        find(Level::warn, "unlogged-table",
             "table " + note.name + " is UNLOGGED: its changes are in no WAL, so it is not replicated",
             "ALTER TABLE … SET LOGGED, if it is needed", note.name);
      else
        find(note.kind == "unmatched pattern" ? Level::warn : Level::note, "not-carried",
             note.kind + " " + note.name + " is not carried over", "", note.name);
    }
  }

  static std::string shown(const capture::OldTransaction& old) {
    if (old.pid == 0) return "prepared transaction " + old.prepared_name;
    return fmt::format("a transaction of {} ({}, pid {})", old.user, old.application, old.pid);
  }

  void judge_transactions() {
    for (const auto& old : facts_.old) {
      if (old.pid != 0 && old.seconds < long_transaction) continue;
      find(Level::warn, old.pid == 0 ? "prepared-transaction" : "long-transaction",
           fmt::format(
               "{} has been open for {:.0f} s: a slot can only be made once it has ended, and keeps WAL "
               "from its beginning on",
               shown(old), old.seconds),
           old.pid == 0 ? "COMMIT PREPARED or ROLLBACK PREPARED it" : "let it end");
    }
  }

  void judge_contents() {
    if (facts_.large_objects)
      find(Level::warn, "large-objects",
           fmt::format("the source holds {} large objects; they are in no table and are not replicated",
                       facts_.large_objects),
           "move what is needed into bytea columns, or copy it by hand");
    std::size_t sequences = 0;
    for (const auto& table : facts_.tables) sequences += table.sequences.size();
    if (sequences)
      find(Level::note, "sequences-not-streamed",
           fmt::format(
               "{} not in the change stream; they are set on the target after the load and at the cutover",
               sequences == 1 ? "the values of one sequence are"
                              : fmt::format("the values of {} sequences are", sequences)),
           "");
  }

  const PostgresSourceFacts& facts_;
  const PostgresSourceConsent& consent_;
  std::vector<Finding> findings_;
};

// What pg_dump shows and the target does not get.
std::vector<Finding> schema_findings(postgres::Connection& source, const PostgresSourceFacts& facts,
                                     const std::string& pg_bin) {
  DumpChoice choice;
  for (const auto& table : facts.tables) choice.tables.push_back(capture::as_source_table(table));
  for (const auto& note : facts.not_carried) choice.left_out.push_back(note.name);
  choice.extensions = capture::read_extensions(source);
  try {
    return filter_dump(capture::dump_schema(source, facts.tables, {pg_bin, ""}), choice).ddl.findings;
  } catch (const Refused& refused) {
    return {{Level::block, refused.code(), "", "", refused.message(), refused.mend()}};
  }
}

// Of mapped tables the mapping decides who refers to whom.
std::vector<Finding> orphans_between(postgres::Connection& source,
                                     const std::vector<capture::PostgresTable>& tables,
                                     const Settings& settings) {
  const auto maps = maps_of(settings);
  auto references = declared_references(source, tables);
  std::erase_if(references, [&](const Reference& each) {
    return is_mapped(maps, each.child) || is_mapped(maps, each.parent);
  });
  return find_orphans(source, tables, references);
}

}  // namespace

PostgresSourceFacts read_postgres_source(postgres::Connection& source, const TableChoice& choice,
                                         const std::string& slot, const std::string& publication) {
  PostgresSourceFacts facts;
  auto watched = capture::watch(source, slot);
  facts.server = watched.server;
  facts.old = std::move(watched.old);
  facts.has_slot = watched.slot.has_value();
  facts.tables = capture::read_catalog(source, choice.include, choice.exclude, &facts.not_carried);
  facts.publication = capture::read_publication(source, publication);
  read_rights(source, facts);
  read_table_rights(source, facts);
  return facts;
}

std::vector<Finding> findings_of(const PostgresSourceFacts& facts, const PostgresSourceConsent& consent) {
  return Judge(facts, consent).all();
}

std::vector<Finding> examine_postgres_source(const Settings& settings, const std::string& slot,
                                             const std::string& publication) {
  const auto& from = settings.source.postgres;
  auto source = connect_source(source_options(settings, "tidegate doctor"));
  auto facts = read_postgres_source(source, settings.tables, slot, publication);
  auto findings = findings_of(facts, {from.set_identity_full, from.accept_unbounded_wal, from.wal_room});
  for (auto& finding : findings_of(read_link(source, settings.source.end, from.ca_file), "source"))
    findings.push_back(std::move(finding));
  const bool is_blocked = std::any_of(findings.begin(), findings.end(), [](const Finding& one) {
    return one.code == "table-not-readable" || one.code == "no-tables";
  });
  if (is_blocked) return findings;
  for (auto& finding : schema_findings(source, facts, from.pg_bin)) findings.push_back(std::move(finding));
  for (auto& finding : findings_of(read_legacy_return(source, facts.tables)))
    findings.push_back(std::move(finding));
  for (auto& finding : orphans_between(source, facts.tables, settings))
    findings.push_back(std::move(finding));
  return findings;
}

}  // namespace tidegate
