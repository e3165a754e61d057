#include "replicator/cli/explained/explained.hpp"

namespace tidegate::cli {
namespace {

constexpr Explanation explanations[] = {
    // What is in the way at the target.
    {"table-exists", "The target has a table of that name already, which tidegate did not make.",
     "Drop it, exclude it ([tables] exclude), or fill it as it is: [target] schema = \"existing\", or "
     "--adopt where it "
     "holds rows."},
    {"table-missing",
     "[target] schema = \"existing\" says that migrations make the tables, and one is not there.",
     "Run the migrations, exclude the table ([tables] exclude), or let tidegate make it: schema = "
     "\"create\"."},
    {"table-holds-rows", "A table of the target holds rows that tidegate did not write, and could overwrite.",
     "Empty it, exclude it ([tables] exclude), or say --adopt: rows with the same key become the source's, "
     "others stay; no reset takes any of them away."},
    {"table-does-not-fit",
     "A table that is in the target cannot take the source's rows; the sentence names the reason.",
     "Change it with a migration, or exclude it ([tables] exclude)."},
    {"column-alters-values",
     "A column that is in the target has a type that rounds, cuts or pads what the source would send, and "
     "says "
     "nothing: a real, a char(n), a timestamp(0).",
     "Change it with a migration to the type that is named, or exclude the table ([tables] exclude)."},
    {"column-too-narrow",
     "A column that is in the target cannot hold values that the source has now: they are too long, too "
     "large, or "
     "of another kind.",
     "Widen it with a migration, mend the values at the source, or say with a [[rule]] what becomes of "
     "them."},
    {"key-not-told-apart",
     "A key column that is in the target takes for equal what the source tells apart (upper and lower case, "
     "two "
     "spellings of a time). Two rows would become one.",
     "Change it with a migration to the type that is named."},
    {"needs-hidden-column",
     "Rows of a table without a usable key are found by the source's rowid, which needs a column in the "
     "target's "
     "table.",
     "Add the column as the sentence says; drop it when the migration is over."},
    {"other-state-directory",
     "The target's schema tidegate says that this pipeline is filled from another state directory, perhaps "
     "on another "
     "machine. Two would write the same rows.",
     "Use that one (--state DIR), or another [pipeline] name with tables of its own. If that directory is "
     "lost: with a [[map]] `tidegate reset --target --confirm NAME`, which keeps the key memory for the new "
     "one; without, drop the target's tables and its schema tidegate, and begin again."},
    {"target-not-in-history",
     "The position in the target is not in this state directory's journal: one of the two was restored or "
     "swapped.",
     "Use the pair that belongs together. Where that is gone and the source is live: `tidegate reset "
     "--target --confirm NAME`, then run with a new --state directory. A target that is live is never filled "
     "again: `tidegate explain replicator-lost`."},
    {"target-swapped", "This state directory has filled a target before, and this one holds nothing of it.",
     "Use the right target, or a new --state directory to fill this one."},
    {"source-file", "doctor says where the source lies and how it keeps its journal.", "Nothing."},
    {"target-in-use", "The target's schema tidegate has this pipeline already.",
     "Nothing: `tidegate run` on the same state directory goes on with it. Is that lost: `tidegate explain "
     "replicator-lost`."},
    {"target-newer", "The target was filled by a newer version of tidegate.", "Use that version."},
    {"no-password", "The server asks for a password and none is known.",
     "Put it into the URL in TIDEGATE_TARGET_URL, an --env-file or tidegate.toml, or into a PGPASSFILE."},
    {"tls-failed",
     "The encrypted connection to the target could not be made, or its certificate is not trusted.",
     "Give the project's CA file ([target] ca_file), and the host's name as the certificate has it."},
    {"TG001", "Another tidegate has taken over this pipeline.",
     "Stop one of the two; `tidegate list` shows those here."},
    {"TG002", "The pipeline's row in the target's schema tidegate is gone.",
     "The target was emptied or swapped: see `tidegate explain target-swapped`."},
    {"TG003", "The target is at another position than this tidegate left it at.",
     "Nothing: it reads the position again. If it lasts, look for a second tidegate."},
    {"TG004", "The target is live, so nothing is applied to it any more.",
     "`tidegate status` says which side is live; `tidegate rollback` goes back."},
    // About the target and the machine.
    {"no-create-on-database",
     "The target's role may not create the schema that tidegate keeps its position in.",
     "Connect as the role `postgres` of the project, or GRANT CREATE ON DATABASE."},
    {"no-create-on-schema", "The target's role may not create tables in the schema public.",
     "GRANT CREATE ON SCHEMA public to it."},
    {"no-replica-mode",
     "The role may not set session_replication_role, so the target's triggers and foreign keys act on every "
     "row that is written.",
     "Connect as the role `postgres` of the project."},
    {"target-encoding",
     "The target's database is not in UTF-8, so that texts of the source may not fit into it.",
     "Make a database with ENCODING 'UTF8'; Supabase's are."},
    {"clock-differs",
     "The clocks of this machine and of a server differ. Positions and order do not depend on clocks; "
     "times in logs, audit and reports do.",
     "Let both machines keep their clocks by NTP."},
    {"behind-pooler",
     "A pooler stands between tidegate and a server. Its session mode is enough to write; transaction mode "
     "is not, and a change stream (of a source, or of the way back) needs a "
     "direct connection.",
     "Take the direct connection (db.PROJECT.supabase.co:5432), or make sure of session mode."},
    {"tls-not-verified",
     "The connection to a server is encrypted, but nobody checks that it is this server that answers.",
     "sslmode=verify-full with the server's CA file in ca_file, of [source] or [target]."},
    {"no-backup-tool",
     "There is no pg_dump here that is new enough for the target, so `tidegate backup` cannot work.",
     "Install postgresql-client of the target's version, or name its folder in [source] pg_bin."},
    {"no-way-back-yet",
     "As it is, the target could not stream back after a cutover: it wants wal_level = logical, a free slot "
     "and WAL sender, and the REPLICATION "
     "attribute.",
     "Mend that before the cutover. Supabase's direct connection as `postgres` has all of it."},
    {"target-trigger-fires",
     "A trigger of the target acts on rows that tidegate writes, as if the application had written them.",
     "Disable it until the cutover, unless it is meant to act."},
    {"target-row-security", "Row level security of a target's table holds for the role of tidegate.",
     "Connect as a role with BYPASSRLS (`postgres` on Supabase), or as the table's owner."},
    {"state-not-encrypted",
     "The state directory holds a copy of the rows (the shadow, the journal), and no disk encryption was "
     "seen below it.",
     "Put it on an encrypted volume with --state, if the rows ask for that; `finalize` deletes row data."},
    {"time-zone",
     "SQLite's times have no zone mostly; they are taken as UTC. This machine's zone is another one, so the "
     "application may write local time.",
     "Look at a time that you know; let the application write UTC, or convert the column by a [[map]]."},
    {"no-tls", "The connection to a server is not encrypted.",
     "Take sslmode=verify-full, with the server's CA file in ca_file, of [source] or [target]."},
    {"way-back-slot-limit",
     "After a cutover the target keeps WAL for the way back, up to its max_slot_wal_keep_size; what is not "
     "read by then is lost, and with it the rollback.",
     "Keep tidegate running until finalize; a managed target has its own limit."},
    {"target-unique-clash",
     "A unique index of the target, over lower(), citext or another expression say, takes rows for the same "
     "that "
     "the source tells apart. The first to come is written, the others go to the quarantine.",
     "Decide in the source which row is right, or change the index with a migration."},
    {"target-refuses-rows",
     "Doctor tries the rows in a temporary table like the target's, which goes again. Its column's type, its "
     "domain or its CHECK refuses these, so a run will hold them in the quarantine.",
     "Mend the values in the source, or change what the mapping makes of them."},
    {"target-rows-not-tried",
     "Doctor tries rows in a temporary table like the target's. The target refused so many for what they "
     "hold "
     "that not all others were tried; or it made no such table (no right to make one, or a type that is not "
     "there yet).",
     "Mend the rows that it refuses, or let the role make temporary tables, and run `tidegate doctor` again; "
     "a "
     "run names each row in the quarantine."},
    {"check-broken",
     "A [[check]] of the file does not hold for these rows as the target would get them. A run copies them "
     "all "
     "the same; `verify` counts them, and a cutover that asks for a clean verify does not begin.",
     "Mend the rows in the source, or the check."},
    {"check-not-understood",
     "The target's server does not understand `must` of a [[check]]: it is SQL over the columns of the "
     "target's "
     "table.",
     "Correct it."},
    {"target-unique-not-asked",
     "Doctor asks the target's server what a unique index makes of each row. It refused so many for what "
     "they "
     "hold that the rest of some batches was not asked for.",
     "Mend the rows that the target refuses, and run `tidegate doctor` again; a run names each in the "
     "quarantine."},
    {"target-older-than-source",
     "The target's PostgreSQL is of an older major version than the source's: what only the newer one knows "
     "of "
     "types, indexes and DDL cannot be made there.",
     "`tidegate plan` shows the DDL; rehearse it on a target of that version, or take a newer one."},
    {"target-newer-than-source", "The target's PostgreSQL is of a newer major version than the source's.",
     "Nothing: each version reads what an older one has."},
    {"server-too-old", "The target is older than PostgreSQL 14.", "Upgrade it."},
    {"state-disk", "The file system of the state directory has little room for the copy and the journal.",
     "Put it on a larger one with --state DIR."},
    {"object-not-built",
     "An index or a foreign key could not be built on the target: the rows do not satisfy it.",
     "Mend the rows in the source, then build it by hand; `tidegate plan` shows the SQL."},
    // How columns, keys and constraints become the target's.
    {"no-primary-key",
     "A table has no primary key, or one that may be NULL: its rows are found by a hidden column.",
     "Nothing is needed; a key in the source makes the table easier to use afterwards."},
    {"rule-on-key",
     "A [[rule]] names a column of a primary key. It is not used: a mended key could be that of another row.",
     "Take the rule out, or mend these keys at the source; until then their rows are quarantined."},
    {"generated-translated", "A generated column is computed on the target too.", "Nothing."},
    {"generated-carried",
     "A generated column's expression has no translation: its values are carried as they are.",
     "After the switch, compute it on the target."},
    {"name-too-long", "A name has more than 63 bytes, which Postgres would cut.", "Rename it in the source."},
    {"name-not-possible", "A name holds what Postgres cannot, or is empty.", "Rename it in the source."},
    {"name-reserved", "A name is one that tidegate or Postgres keeps for itself.",
     "Rename it in the source."},
    {"times-mixed", "A column holds times as numbers and as texts, or numbers of no known form.",
     "Mend the rows in the source, or a [[rule]] with on = \"epoch\" or \"julian\"."},
    {"times-as-numbers",
     "A column holds its times as numbers; all its rows have one form, which was found by measuring.",
     "Check the form that `tidegate plan` names."},
    {"naive-times-are-utc", "Times without a zone are taken as UTC.",
     "If the application wrote local time, convert after the switch, and tell its readers."},
    {"date-widened", "A column declared as a date holds times of day too.",
     "Nothing: it becomes timestamptz, so that nothing is cut."},
    {"varchar-widened", "A column holds longer texts than it declares.",
     "Nothing: it becomes text, so that nothing is cut."},
    {"column-widened",
     "A value came while streaming that is longer than its column declares; SQLite does not enforce that.",
     "Nothing: the column became text, or numeric without limits, on the target before the row was written."},
    {"key-as-text",
     "A point in time or a JSON value is part of a primary key; several spellings of it are several keys in "
     "SQLite.",
     "Nothing: it becomes text. Use schema = \"existing\" if it must have its own type."},
    {"numeric-widened", "A column holds more digits than it declares.",
     "Nothing: it becomes numeric without limits, so that nothing is rounded."},
    {"type-measured", "A column has no declared type; the target's was chosen by what it holds.",
     "Check it in `tidegate plan`; rows of another kind that come later are quarantined."},
    {"type-unknown",
     "A column's declared type is not known; the target's was chosen by affinity and what it holds.",
     "Check it in `tidegate plan`."},
    {"text-holds-blobs", "A column declared as text holds blobs alone.", "Nothing: it becomes bytea."},
    {"text-by-rule", "A [[rule]] makes the column text.", "Nothing."},
    {"default-not-translated", "A column's default has no translation and is not carried over.",
     "Set a default on the target."},
    {"check-not-translated", "A CHECK has no translation and is not carried over.",
     "Make one like it on the target."},
    {"index-not-translated", "An index has no translation and is not carried over.",
     "Make one like it on the target."},
    {"unique-not-translated",
     "A unique index has no translation and is not carried over: the target would take rows that the source "
     "refuses.",
     "Make one like it on the target before the switch."},
    {"foreign-key-not-carried", "A foreign key refers to something that cannot be referred to on the target.",
     "Make one like it on the target."},
    {"foreign-key-unindexed", "A foreign key has no index: each delete in the parent reads the whole table.",
     "Make the index that `tidegate plan` names."},
};

}  // namespace

std::span<const Explanation> explained_target() {
  return explanations;
}

}  // namespace tidegate::cli
