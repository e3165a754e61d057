#include "replicator/cli/explained/explained.hpp"

namespace tidegate::cli {
namespace {

constexpr Explanation explanations[] = {
    // What doctor and plan find about the source.
    {"source-unreachable", "The source cannot be reached or read; the sentence says why.",
     "Mend what it says; `tidegate config show` says which source is meant."},
    {"mapping-not-examined",
     "The rows that the mapping would make could not be looked at; the sentence says why.",
     "Mend what it says, and run doctor again."},
    {"machine-not-examined", "This machine could not be looked at; the sentence says why.",
     "Mend what it says, and run doctor again."},
    {"no-such-source", "The source's file does not exist.",
     "Check the path; a relative one is from the folder where the command was typed, in tidegate.toml from "
     "the file's own."},
    {"source-not-a-file", "The source is a folder.", "Name the SQLite file in it."},
    {"source-not-readable", "The user of tidegate may not read the source.",
     "Run it as the application's user."},
    {"source-not-sqlite",
     "The file does not begin as a SQLite database: another kind of file, or an encrypted one.",
     "Check the path. Encrypted databases cannot be replicated."},
    {"not-wal",
     "The database is not in WAL mode, so reading it holds a lock that makes the application's writers wait.",
     "Give --allow-wal (or [source] allow_wal = true) and tidegate switches it; the application need not be "
     "restarted."},
    {"wal-will-be-switched",
     "The database is not in WAL mode and will be switched, with the consent that was given.",
     "Nothing; take --allow-wal away if you do not want it."},
    {"wal-refused",
     "The database could not be switched to WAL: somebody was reading or writing it without a pause.",
     "Try again when it is quieter, or run PRAGMA journal_mode=WAL by hand."},
    {"not-the-owner",
     "Another user owns the database file, so files that SQLite makes beside it may not be writable for the "
     "application.",
     "Run tidegate as the application's user."},
    {"writers-upgrade",
     "The application's transactions are taken to read first and write later; such a one fails at once where "
     "another writer holds the lock.",
     "If all of its transactions begin with a write, set [source] writers = \"waits\"."},
    {"writers-wait",
     "The application's transactions are taken to ask for the write lock at once, so that they wait where "
     "another holds it.",
     "If some of them read first and write later, set [source] writers = \"upgrades\"."},
    {"orphans",
     "Rows refer to a row that does not exist; SQLite keeps to its foreign keys only where each connection "
     "asks for it, and Postgres not for rows of before a constraint that is NOT VALID, nor for what is "
     "written "
     "in replica mode. The rows are copied, and the target's foreign key stays NOT VALID.",
     "Bring the parents back, or clear the references, in the source; then VALIDATE CONSTRAINT on the "
     "target."},
    {"orphans-not-looked-for",
     "The anti-join that finds rows without their parent took longer than a minute on the source's server.",
     "An index on the parent's columns helps. `tidegate verify` looks on the target, where it costs the "
     "application nothing."},
    {"hold-compare", "What a full compare of the source takes, measured from a sample of its rows.",
     "Nothing: where it is too long for the hold it is made just before."},
    {"table-too-big-for-hold",
     "Pages do not tell which rows of a table WITHOUT ROWID changed, so that all of them are compared after "
     "any "
     "change; that takes longer than a cutover may make writers wait.",
     "Cut over while nothing writes to it, or raise [cutover] max_hold (to less than half of the "
     "application's busy timeout)."},
    {"not-carried",
     "Something in the source has no counterpart on the target: a trigger, a view, a virtual table.",
     "Make its counterpart in the target's own migrations, if it is needed there."},
    // A Postgres source.
    {"no-replica-identity",
     "A table has nothing by which an UPDATE or DELETE could name its row: no primary key, a DEFERRABLE one, "
     "or "
     "REPLICA IDENTITY NOTHING. Once it is published, the application's own UPDATE and DELETE on it would "
     "fail.",
     "Give it a primary key, or consent to REPLICA IDENTITY FULL with --allow-identity-full ([source] "
     "set_identity_full = true); the statement is in the sentence. FULL makes the source's WAL larger."},
    {"not-table-owner", "Only its owner may publish a table, and the source's role does not own this one.",
     "Connect as the tables' owner, or GRANT the owner's role to the one that tidegate uses."},
    {"foreign-partition",
     "A partitioned table has a partition that is a foreign table; it cannot be published.",
     "Detach the partition, or leave the table out ([tables] exclude)."},
    {"no-create-publication", "The source's role may not create a publication.",
     "GRANT CREATE ON DATABASE to it, or connect as the owner of the database."},
    {"publication-not-ours",
     "The source has a publication of the name that this pipeline wants, and it does not carry tidegate's "
     "comment.",
     "Drop or rename it, or give the pipeline another name."},
    {"schema-changed",
     "A replicated table of a Postgres source changed in a way that the change stream does not show (rows "
     "written anew, a column with a default, a partition attached or detached, another key). That table is "
     "stopped, so that nothing false is written to it; all others stream on.",
     "`tidegate resync TABLE` gives the target's table the new shape and copies it again. With "
     "on_schema_change = \"carry\" that happens by itself. Of a table that a [[map]] reads only what the map "
     "reads "
     "counts, and it always waits: put back what was taken away, or see that the map reads the new column "
     "rightly; then `tidegate resync TABLE` lets it stream again and mends its rows one by one."},
    {"enum-changed",
     "An enum of the source got a label, or calls one of its labels otherwise, and the target does not "
     "follow "
     "by itself: its types were made by others, on_schema_change is \"pause\", or tidegate's role may not "
     "change the type.",
     "Run the statement of the message on the target, then `tidegate quarantine retry --all`: rows that came "
     "with "
     "a "
     "label that the target did not have are held there."},
    {"table-not-carried", "A table that a change of its schema stopped cannot be copied again by itself.",
     "Do what the message says on the target or at the source, then `tidegate resync TABLE`."},
    {"schema-existing",
     "A table came to the source, and the target's tables are made by others (schema = \"existing\").",
     "Make it there by a migration, and begin a new pipeline with it."},
    {"table-gone", "A table that is to be copied again is not at the source any more.",
     "Make it again at the source, or begin a new pipeline without it."},
    {"column-gone", "The source dropped or renamed a column that the target still has.",
     "Drop or rename the column on the target too, then `tidegate resync TABLE`."},
    {"generated-column", "The expression of a generated column changed at the source.",
     "Drop the column on the target and make it as it is at the source, then `tidegate resync TABLE`."},
    {"table-not-replicated",
     "A table that [tables] include takes in came to the source after the plan was approved.",
     "Nothing of it is lost at the source. To replicate it, fill a new target from the beginning; to be told "
     "no "
     "more, leave it out ([tables] exclude)."},
    {"schema-name-with-dot",
     "A schema's name holds a dot, so \"schema.table\" would not say which table is meant.",
     "Rename the schema, or leave its tables out ([tables] exclude)."},
    {"no-columns", "A table of the source has no column, or none that is not generated.",
     "Leave it out ([tables] exclude)."},
    {"no-tables", "No table of the source is chosen.", "See [tables] include and exclude."},
    {"pg-dump-missing", "The source's schema is read with pg_dump, and there is none on this machine.",
     "Install postgresql-client of the server's version, or say where pg_dump is: [source] pg_bin."},
    {"pg-dump-too-old", "pg_dump refuses a server that is newer than itself.",
     "Install postgresql-client of the server's version, or say where one is: [source] pg_bin."},
    {"table-not-dumped", "A table is in the catalogue, and pg_dump left it out.",
     "See whether the source's role may read the table and its schema."},
    {"needs-left-out-table",
     "A replicated table inherits from a table that is not replicated, or has a column of its row type.",
     "Replicate that table too ([tables] include)."},
    {"extension-not-available",
     "A column's type, a default or an index comes from an extension that the target lacks.",
     "Install the extension on the target's server, or leave out the tables that use it ([tables] exclude)."},
    {"function-not-carried",
     "A default, CHECK, index or type needs a function that is not written in SQL or PL/pgSQL.",
     "Make a function of that name and signature on the target first."},
    {"source-server-too-old",
     "The source is older than PostgreSQL 14, which cannot stream what tidegate needs.", "Upgrade it."},
    {"source-is-standby", "A publication can only be made on a primary.", "Connect to the primary."},
    {"wal-level", "The source's WAL does not hold what logical decoding needs.",
     "ALTER SYSTEM SET wal_level = logical, and restart the source at a time that suits its users."},
    {"sql-ascii", "A database in SQL_ASCII takes any bytes as text; the target takes UTF-8 only.",
     "Mend texts that are not UTF-8 in the source; those that are left are quarantined by name."},
    {"no-free-slot",
     "tidegate needs a replication slot for the stream, and one more while it copies the tables.",
     "Drop slots that nobody reads (pg_replication_slots), or raise max_replication_slots, which needs a "
     "restart."},
    {"no-free-wal-sender", "tidegate needs a WAL sender for each of its slots.",
     "End other replication that is not needed, or raise max_wal_senders, which needs a restart."},
    {"slot-without-limit",
     "A slot keeps WAL on the source until it is read. Without max_slot_wal_keep_size it does so until the "
     "disk is "
     "full, and then the application stops.",
     "ALTER SYSTEM SET max_slot_wal_keep_size = '…', SELECT pg_reload_conf(). Or accept it with [source] "
     "accept_unbounded_wal = true, and watch the disk."},
    {"slot-limit", "When more WAL than this waits for the slot, the source gives the slot up.",
     "Nothing; raise max_slot_wal_keep_size to be able to stay away longer."},
    {"no-replication-right", "Reading a replication slot needs the attribute REPLICATION.",
     "ALTER ROLE … REPLICATION as a superuser; on Supabase the role `postgres` has it."},
    {"table-not-readable", "The source's role may not SELECT from a table.",
     "GRANT SELECT ON it to the role."},
    {"row-security-hides-rows",
     "Row level security applies to the source's role, so that it would copy only some of the rows.",
     "Connect as a role with BYPASSRLS, or as the table's owner."},
    {"unlogged-table", "An UNLOGGED table's changes are written to no WAL, so nobody can stream them.",
     "ALTER TABLE … SET LOGGED (rewrites the table), if it is needed on the target."},
    {"prepared-transaction", "A prepared transaction holds back the slot, and every slot that is made.",
     "COMMIT PREPARED or ROLLBACK PREPARED it."},
    {"long-transaction",
     "A slot can only be made once all transactions that write at that moment have ended.",
     "Let it end, or end it with pg_terminate_backend(pid) if nobody needs it."},
    {"large-objects", "Large objects are not in tables; logical decoding does not show them.",
     "Move what is needed into bytea columns, or copy it by hand."},
    {"sequences-not-streamed", "Logical decoding does not show what a sequence gave out.",
     "Nothing: tidegate sets the target's sequences after the load and at the cutover."},
    // A Postgres source's stream.
    {"bad-slot-name", "A replication slot's name has 1 to 63 characters of a-z, 0-9 and _.",
     "Give [source] a name of those."},
    {"slot-missing",
     "The source has no replication slot of that name any more, so changes since then are gone.",
     "Somebody dropped it, or the source is a restored copy. Start again: `tidegate reset --target --confirm "
     "NAME`, then run with a new state directory."},
    {"slot-not-ours", "The replication slot belongs to something else: another plugin or database.",
     "Give [source] another slot's name."},
    {"slot-lost",
     "The source has given up the replication slot: it kept more WAL than max_slot_wal_keep_size.",
     "Raise max_slot_wal_keep_size on the source, and start again: `tidegate reset source --confirm NAME`, "
     "`tidegate reset --target --confirm NAME`, then run with a new state directory."},
    {"slot-ahead", "The replication slot was consumed further than the journal reaches.",
     "Another reader used the slot, or the state directory was restored from an older copy. Start again: "
     "`tidegate reset source --confirm NAME`, `tidegate reset --target --confirm NAME`, then run with a new "
     "state "
     "directory."},
    {"source-other-system", "The source is another cluster than the one that was captured.",
     "Check the source's URL. If the move is meant, start again with a new state directory and an emptied "
     "target."},
    {"source-other-timeline",
     "The source was promoted or restored, so positions in its log mean other things now.",
     "Start again with a new state directory and an emptied target."},
    {"source-went-back",
     "The source's log ends before what was captured: it was restored from an older copy.",
     "Start again with a new state directory and an emptied target."},
    {"source-too-old", "The source's server is older than PostgreSQL 14.", "Upgrade it first."},
};

}  // namespace

std::span<const Explanation> explained_source() {
  return explanations;
}

}  // namespace tidegate::cli
