#include "replicator/cli/explained/explained.hpp"

namespace tidegate::cli {
namespace {

constexpr Explanation explanations[] = {
    // The daemon.
    {"not-running", "No daemon runs on the state directory that is meant.",
     "Start it with `tidegate run`; `tidegate list` shows those that run."},
    {"second-daemon", "Another daemon holds the state directory, so a second would write the same rows.",
     "Use the one that runs (`tidegate status`), or stop it with `tidegate stop`."},
    {"other-pipeline", "The state directory belongs to a pipeline of another name.",
     "Give another --state directory, or the pipeline's own name."},
    {"which-pipeline", "Several pipelines are here and none is named.",
     "Say which with --state DIR or --config FILE."},
    {"timed-out", "The daemon did not answer within the time that was given.",
     "`tidegate status` shows what it does; give a longer --timeout."},
    {"too-many-connections", "The daemon's API serves as many connections as it may.",
     "End other `events --follow` or `status --watch`, and try again."},
    // The report.
    {"no-report", "No pipeline has run in the state directory, so there is nothing to report.",
     "Say which pipeline with --state DIR; `tidegate list` shows them."},
    // What the two databases say.
    {"28P01", "Postgres: the password is wrong.",
     "Check user and password of the target; percent-encode special characters in the URL."},
    {"28000", "Postgres: this user may not log in from here.",
     "Check the user's name, pg_hba.conf and whether TLS is asked for."},
    {"3D000", "Postgres: there is no database of that name.",
     "Check the name after the last / of the target's URL; on Supabase it is postgres."},
    {"42501", "Postgres: the role lacks a right.",
     "Connect as the role `postgres` of the project, or grant what `tidegate doctor` names."},
    {"53100", "Postgres: the disk is full.", "Make room on the target; tidegate goes on where it was."},
    {"53300", "Postgres: too many connections.", "Close some, or raise max_connections."},
    {"57P03", "Postgres: the server is starting or recovering.", "Nothing: tidegate tries again."},
    {"08001", "Postgres: the server cannot be reached.",
     "Check host, port and network; Supabase's direct host is IPv6 only unless the add-on is bought."},
    {"08006", "Postgres: the connection broke.",
     "Nothing: tidegate connects again and goes on from the last position in the target."},
    {"42804", "Postgres: a column is of another type than what is written into it.",
     "Compare the target's table with the plan (`tidegate plan`); if it was changed while tidegate ran, "
     "change it back."},
    {"42703", "Postgres: a column is not there.",
     "If the target's table was changed while tidegate ran, change it back."},
    {"42P01", "Postgres: a table is not there.",
     "If it was dropped while tidegate ran, bring it back, or begin again."},
    {"23505", "Postgres: a unique value is there already.",
     "`tidegate quarantine list` names row and constraint."},
    {"23503", "Postgres: a row that is referenced is not there.", "Look for orphans with `tidegate doctor`."},
    {"SQLITE_BUSY", "SQLite: another process holds the lock.",
     "Nothing: tidegate tries again. If it lasts, look for a long transaction of the app."},
    {"SQLITE_CANTOPEN", "SQLite: the file cannot be opened.",
     "Check the path, and that the user of tidegate may read file and folder."},
    {"SQLITE_NOTADB", "SQLite: the file is not a database, or is encrypted.", "Check the path."},
    {"SQLITE_CORRUPT", "SQLite: the file is damaged.",
     "Run PRAGMA integrity_check and restore a backup; tidegate does not go on."},
    {"SQLITE_FULL", "SQLite: the disk is full.",
     "Make room in the file system of the state directory; tidegate goes on where it was."},
    {"source-empty", "The source is a file without a single byte: no application has made its tables yet.",
     "Check the path, or start the application once."},
    {"source-not-writable",
     "SQLite's readers must write to -wal, -shm or the locks beside the file, and the user of tidegate may "
     "not.",
     "Run tidegate as the application's user, or give it the right to write to file and folder."},
    {"source-not-local",
     "The source is on a network or FUSE file system, where locks and shared memory do not reach the "
     "application's machine.",
     "Run tidegate on the machine that has the disk."},
    {"source-too-new", "The source's header names a format that this SQLite library does not know.",
     "Install a newer libsqlite3."},
    {"source-gone", "The source file was moved or deleted while tidegate ran.",
     "Put it back, then start tidegate again."},
    {"source-replaced",
     "While tidegate ran, another file was put in the place of the source (a restored backup, say).",
     "Make sure that it is the right one and start tidegate again: it compares all rows before it goes on."},
    {"spool-full",
     "Transactions that are open at the source have more bytes of changes than [source] spool_limit, or than "
     "the disk "
     "of the state directory has room for. Nothing is lost: until tidegate connects again, the source's "
     "server keeps "
     "such transactions in its own pg_replslot until they commit, about as large as their WAL.",
     "Where the disk is full, make room on it. Else look at pg_stat_activity for a transaction that should "
     "have "
     "ended. Where such transactions are usual, raise spool_limit; 1 leaves all of them to the source's "
     "server."},
    {"wal-impossible", "SQLite could not switch the source to WAL mode where it lies.",
     "Put it on a local disk, or run without --allow-wal."},
    {"wal-needed",
     "Without WAL a reader keeps the application from committing, so tidegate reads for 100 ms at most, and "
     "this database "
     "takes longer.",
     "Let tidegate switch it with --allow-wal ([source] allow_wal = true); the application need not be "
     "restarted."},
    {"utf16-without-rowid", "A table WITHOUT ROWID in a UTF-16 database cannot be compared byte by byte.",
     "[tables] exclude = [\"its name\"], or convert the database to UTF-8 with VACUUM INTO."},
    {"no-row-identity",
     "A table has no key, and columns that hide all three names of the rowid, so its rows cannot be told "
     "apart.",
     "Give it a NOT NULL primary key, or [tables] exclude = [\"its name\"]."},
    // verify.
    {"verify-runs", "A run of verify is under way, and there is one at a time.",
     "`tidegate verify status` shows how far it is; `tidegate verify stop` ends it."},
    {"verify-no-meeting",
     "verify compares both ends at one position, and apply did not come to rest at one within 1.5 s.",
     "See the lag in `tidegate status`; while one large transaction is applied, or the target is slow, wait "
     "for it."},
    {"verify-no-table", "None of the replicated tables has the name or pattern that was given.",
     "`tidegate status` lists the tables; --table takes the source's names."},
    {"verify-differences", "The newest run of verify found rows, or something beside them, that differ.",
     "`tidegate verify status` names them; `tidegate repair` brings rows back in line."},
    {"verify-orphans",
     "Rows of the target refer to rows that are not there. In replica mode nobody checks that.",
     "Look at the parents in the source; where they are in quarantine, mend those first."},
    {"verify-sequence-behind",
     "A sequence of the target would give out keys that rows have. It is lifted while the stream runs.",
     "Run verify again after some seconds; it must be gone before the target is written to."},
    {"verify-catalogue", "A column, index or constraint of the target is not what was planned.",
     "Undo the change on the target, or build what is missing by hand."},
    {"seed-changed",
     "A file of [target] seed was changed after it had been carried out. It is carried out once.",
     "Put the change into a migration of the target, and bring the file back as it was."},
    {"seed-not-run",
     "A file was added to [target] seed after the first copy had ended. Seeds are carried out before it, or "
     "not at all.",
     "Put what it holds into a migration of the target, and take it out of the list."},
    {"seed-not-readable", "A file of [target] seed cannot be read, or its statements cannot be told apart.",
     "Bring it back, or correct it at the place that is named."},
    {"seed-transaction",
     "Each file of [target] seed is one transaction, with its row in tidegate.seeds. BEGIN, COMMIT, VACUUM "
     "and CREATE INDEX "
     "CONCURRENTLY cannot be in one.",
     "Leave BEGIN and COMMIT out; make a migration of what must stand alone."},
    {"seed-failed",
     "The target refused a statement of a file of [target] seed. Nothing of that file was carried out.",
     "Correct the statement that is named; the next start goes on with this file. A table that tidegate "
     "fills takes no seed: it is "
     "fenced (25006)."},
    {"post-sql-changed",
     "A file of [target] post_sql was changed after it had been carried out. It is carried out once.",
     "Put the change into a migration of the target, and bring the file back as it was."},
    {"post-sql-not-run",
     "A file was added to [target] post_sql when the stream ran already. Such files are carried out between "
     "the load "
     "and the stream, or not at all.",
     "Put what it holds into a migration of the target, and take it out of the list."},
    {"post-sql-not-readable",
     "A file of [target] post_sql cannot be read, or its statements cannot be told apart.",
     "Bring it back, or correct it at the place that is named."},
    {"post-sql-transaction",
     "Each file of [target] post_sql is one transaction, with its row in tidegate.post_sql. BEGIN, COMMIT, "
     "VACUUM "
     "and CREATE INDEX CONCURRENTLY cannot be in one.",
     "Leave BEGIN and COMMIT out; make a migration of what must stand alone."},
    {"post-sql-failed",
     "The target refused a statement of a file of [target] post_sql. Nothing of that file was carried out.",
     "Correct the statement that is named; the next start goes on with this file. Rows of tables that "
     "tidegate fills "
     "cannot be changed by it: they are fenced (25006)."},
    {"post-sql-hides-rows",
     "A file of [target] post_sql makes policies hold for tidegate's own role, which would find no rows any "
     "more.",
     "Connect as a role with BYPASSRLS or as the owner of the tables, or take FORCE ROW LEVEL SECURITY out."},
    {"realtime-no-publication",
     "[target] realtime names tables, and the target has no publication supabase_realtime.",
     "CREATE PUBLICATION supabase_realtime; on Supabase it is there. The tables join once it is."},
    {"realtime-no-table", "A table of [target] realtime is not in the target.",
     "Make it with a migration, or correct its name."},
    {"realtime-not-ours",
     "A table of [target] realtime, or the publication, belongs to another role, so that tidegate may not "
     "add it.",
     "Connect as the owner, or add the table by hand once the target has caught up."},
    {"realtime-no-identity",
     "A table of [target] realtime has no key: a member of a publication that has none refuses UPDATE and "
     "DELETE.",
     "Give it a primary key or REPLICA IDENTITY FULL, or take it out of the list."},
    {"realtime-refused", "The target refused to add a table to supabase_realtime. It is tried again.",
     "What the server says names the reason, for instance somebody's lock on the table."},
    {"realtime-taken-out",
     "A table that had joined supabase_realtime was taken out by somebody. It is not added again.",
     "Add it by hand if it should be there, or take it out of [target] realtime."},
    {"realtime-floods",
     "A table that is to be filled is in supabase_realtime already: every row of the load would go to its "
     "clients.",
     "Take it out of the publication, and name it in [target] realtime: it joins after the catch-up."},
    {"verify-rows-of-nobody",
     "A table that several maps fill has rows which none of them says are its own, by its `rows` or its "
     "remembered keys.",
     "They are not compared, and never deleted. Somebody else wrote them; where that is not wanted, remove "
     "them."},
    {"verify-table-in-resync",
     "A table that is being copied again, or a mapped one that is stopped, shows no state that the source "
     "had, so "
     "verify left it out.",
     "Wait until `tidegate status` shows it streaming, then verify it with --table."},
    {"verify-rule-broken", "Rows of the target break a [[check]] of the configuration.",
     "Mend the rows in the source, or the rule."},
    {"verify-rule-not-read", "The server could not run a [[check]] of the configuration.",
     "Write `must` as a condition in the target's SQL, with the target's names of columns."},
    {"writes-to-live-side",
     "After the cutover the target is live; repair would overwrite what was written there.",
     "`tidegate status` shows which side is live. Differences are mended by the way back."},
    {"nothing-verified", "repair mends what the newest verify found, and that is missing or was not through.",
     "tidegate verify, then tidegate repair"},
    {"verify-never-ran", "There is nothing to report, since verify has not run with this state directory.",
     "tidegate verify"},
};

}  // namespace

std::span<const Explanation> explained_pipeline() {
  return explanations;
}

}  // namespace tidegate::cli
