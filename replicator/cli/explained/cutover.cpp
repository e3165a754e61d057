#include "replicator/cli/explained/explained.hpp"

namespace tidegate::cli {
namespace {

constexpr Explanation explanations[] = {
    // The cutover.
    {"wrong-phase", "The verb does not fit the phase that the pipeline is in.",
     "`tidegate status` shows the phase, the live side and what to do next."},
    {"past-no-return",
     "A cutover or rollback is past its point of no return: the fence of the side that was live is or will "
     "be "
     "there.",
     "Let it end, then go the other way: `tidegate rollback`, or `tidegate cutover` after a rollback."},
    {"way-back-rejects",
     "Rows of the target do not fit into the legacy database: it keeps the old row, or none. They are named "
     "in "
     "the legacy file's table _tidegate_rejects (a Postgres database's tidegate.quarantine) by table, key, "
     "column and reason.",
     "Change them on the target so that they fit, which takes them out; or give them up with `tidegate "
     "rollback "
     "--accept-loss`."},
    {"way-back-incomplete",
     "While the target was live it got tables or columns that the legacy database does not have: the way "
     "back "
     "does not follow them, so that a rollback leaves behind what was written there. Those that were there "
     "before "
     "the cutover are not meant.",
     "Bring them to safety (pg_dump --table) or drop them; `tidegate rollback --accept-loss` goes back "
     "without them, and they stay on the target."},
    {"rollback-lag",
     "What is committed on the target takes longer to the legacy database than --max-lag allows.",
     "Wait until the way back has caught up (`tidegate status`), or for a quieter time."},
    {"target-held",
     "A transaction of the target has held its tables for seconds, or maintains them (VACUUM, CREATE INDEX): "
     "a "
     "hold would wait for it.",
     "Let it end, or end it: SELECT pg_terminate_backend(PID)."},
    {"target-live", "doctor says that a cutover has made the target the live side; the source is fenced.",
     "Nothing: `tidegate run` goes on with the way back. `tidegate rollback` goes back, `tidegate finalize` "
     "ends the migration."},
    {"cutover-under-way",
     "doctor was asked while a cutover or rollback is under way, or after a crash in one.",
     "`tidegate status --watch`; where no daemon runs, start it: it finds out which side is live."},
    {"finalized", "The pipeline was finalized, or that was begun: nothing is replicated any more.",
     "If it was not finished, `tidegate finalize --confirm NAME` goes on. A new migration needs a new state "
     "directory."},
    {"legacy-is-there", "finalize --legacy-gone was given, and the legacy database answers.",
     "finalize without it cleans both databases."},
    {"legacy-not-cleaned",
     "finalize --legacy-gone cleans the target and the state directory alone. If the legacy database exists "
     "after "
     "all, or comes back from a backup, it keeps its fence, and a server its slot and the log for it.",
     "Go on where it is gone for good. Where it turns up: drop the triggers and tables _tidegate… of a file; "
     "of a "
     "server the slot, the publication, and the schema tidegate with CASCADE."},
    {"finalize-begun", "finalize was begun before and goes on where it ended.", "Nothing."},
    {"finalize-will", "What finalize takes away.", "Nothing; --confirm NAME does it."},
    {"journal-mode-not-restored", "SQLite leaves WAL only while no other program has the file open.",
     "End that program (`lsof FILE` names it), and give the command again."},
    {"confirm-needed",
     "A cutover or rollback changes which database is live, so it wants the pipeline's name typed.",
     "tidegate cutover --confirm NAME, after --dry-run and --rehearse; tidegate rollback --confirm NAME."},
    {"finalize-keeps-backups",
     "Backups hold rows of the databases. finalize deletes what a pipeline needed, and leaves backups alone: "
     "they may be "
     "the last copy.",
     "Delete those in the state directory's folder backups that nobody needs any more."},
    {"half-done",
     "The journal of cutovers, the fence in the source and what the target says of itself contradict each "
     "other: a "
     "database was restored or replaced, or a state directory was lost.",
     "Change nothing. Look at the table _tidegate_fence in a SQLite source, and at tidegate.live_side in a "
     "Postgres "
     "source and in the target: the side "
     "that took writes last is the one to keep."},
    {"cutover-not-journalled",
     "A step of the cutover could not be written to the state directory: its disk is full. Before the point "
     "of "
     "no return the run is given up and writers go on; after it the run waits for room.",
     "Make room there; `tidegate explain disk-full` says how."},
    {"cutover-journal", "The journal of cutovers was written by a newer tidegate.", "Use that version."},
    {"source-held",
     "A transaction of the source, maybe a prepared one, has held its tables for seconds, or maintains them "
     "(VACUUM, CREATE INDEX): a hold would wait for it, and before a rollback the fence's end.",
     "Let it end, or end it: SELECT pg_terminate_backend(PID), ROLLBACK PREPARED 'NAME'."},
    {"source-not-fenceable",
     "tidegate could not fence the source: that needs the tables' owner, and the right to make a schema.",
     "GRANT owner TO role; GRANT CREATE ON DATABASE name TO role."},
    {"legacy-trigger-always",
     "A trigger of the source is ENABLE ALWAYS or ENABLE REPLICA: it would fire for rows that come back from "
     "the target, where its work was done already.",
     "ALTER TABLE … ENABLE TRIGGER …; for the application that is the same."},
    {"sequence-unknown",
     "The side that would take over gives out ids by itself, and tidegate does not find the sequence of a "
     "column, or may not read or set it: it would give ids that are taken.",
     "Give the column a sequence as its default, make an identity column of it, or let tidegate's role read "
     "and set the sequence, as the finding says."},
    {"cutover-needs-wal", "Without WAL, reading the source and committing its fence get in each other's way.",
     "Start tidegate with --allow-wal, which switches the file."},
    {"max-hold-too-long",
     "The hold may last longer than half of the time for which the application's writers wait for a lock, so "
     "some could fail.",
     "Give a shorter --max-hold, or correct [source] busy_timeout if the application waits longer."},
    {"source-open-by", "A program has the source open: it has to use the target after the cutover.",
     "Nothing now; after the cutover `tidegate status` lists those that have not moved."},
    {"hold-fails-writers",
     "Transactions that read first and write later fail at once when they meet a lock, whatever their "
     "timeout.",
     "Let requests wait in a proxy (hook on-hold), set [source] writers = \"waits\" if they do not do so, or "
     "accept it "
     "with --accept-failed-writes."},
    {"rehearsal-wanted",
     "Who accepts that writes fail during the hold must have seen what a hold costs: a rehearsal of the last "
     "day is missing.",
     "tidegate cutover --rehearse --accept-failed-writes, at the hour at which you will cut over; then count "
     "\"database is "
     "locked\" in the application's log between the two times that it prints."},
    {"hooks-missing", "[hooks] dir names a folder that is not there.", "Make it, or take the setting out."},
    {"hook-not-executable",
     "A hook is there and cannot be executed, or is a link to a file that is not there.",
     "chmod +x it, and look at its first line; or mend the link."},
    {"hook-never-run",
     "A file in the folder of hooks has nearly the name of an event. Only files with the very names of "
     "events "
     "are run.",
     "Rename it, or take it out of the folder."},
    {"hook-no-switch", "There is a folder of hooks, and none in it moves the traffic to the other side.",
     "Move it by hand once the other side is live, or put a hook on-switch there."},
    {"hooks", "The events for which there are hooks.", "Nothing, if it is what you meant."},
    {"hook-not-safe", "A hook could be changed by another user, and would run as tidegate.",
     "Make it yours or root's, and writable by its owner only."},
    {"hook-check-failed", "The hook `check`, which looks whether the others could do their work, failed.",
     "Its output is in the audit; run it by hand."},
    {"hook-failed", "A hook of the last switch failed, hung or could not be started.",
     "Its output is in the audit. The switch itself stands: `tidegate cutover --continue`, or `tidegate "
     "rollback --continue` after a rollback, runs its hooks again; `tidegate status` names which."},
    {"hook-trouble",
     "A hook failed, hung or could not be started, and it was none of the switch: the run was given up, or "
     "its policy let the run go on.",
     "Its output is in the audit. Where it was on-abort, see to it that what waits outside goes on; mend the "
     "hook before the next run."},
    {"verify-running", "A verify makes the apply thread wait at times, which a hold has no time for.",
     "Let it end, or `tidegate verify stop`."},
    {"verify-not-fresh", "A cutover wants a verify of all rows of all tables from the last hour.",
     "tidegate verify"},
    {"verify-differs", "The last verify found rows that differ.",
     "`tidegate verify status` names them; mend them, and verify again."},
    {"cutover-paused", "Nothing is applied while the pipeline is paused.", "tidegate resume"},
    {"cutover-table-behind",
     "A table stands at another position than the rest: it is being copied again, or a change of its schema "
     "stopped it. The target would go live without its newest rows.",
     "Wait until `tidegate status` shows it streaming; `tidegate resync TABLE` copies a stopped one again."},
    {"cutover-throttled", "A throttle would make the last changes slow.", "tidegate throttle off"},
    {"cutover-in-trouble", "Capture or the target is in trouble.",
     "Mend what `tidegate status` shows first."},
    {"cutover-lag", "What is committed takes longer to the target than --max-lag allows.",
     "Wait for a quieter time, or raise --max-lag."},
    {"cutover-open",
     "The source is fenced and the target could not be opened yet. Nothing is lost: both refuse writes until "
     "it succeeds.",
     "Make the target reachable; it is tried again until it works."},
    {"lag", "How long what is committed took to the target, measured by round trips.", "Nothing."},
    {"target-unreachable", "The target did not answer.", "Look at `tidegate status`, and at the network."},
    {"target-not-fenced",
     "Others could write to the target's tables before the cutover; such rows would be overwritten or clash.",
     "Restart tidegate, which makes the fence, as the tables' owner and with a role that may set "
     "session_replication_role."},
    {"quarantine-not-empty", "Rows that did not fit would be missing after the cutover.",
     "`tidegate quarantine list`; mend and retry them, or accept that they stay out."},
    {"quarantine-accepted", "Rows were left out of the target on purpose.", "Nothing."},
    {"way-back-failed", "The way back could not be made ready, or has stopped.",
     "Mend what the message says; before a cutover it blocks, after it the rollback's possible loss grows. "
     "Where the slot is gone, `tidegate resync --way-back` builds it anew (runbook way-back-lost)."},
    {"starting",
     "After a start the daemon first asks both databases which side is live; until then no verb may change "
     "anything.",
     "Give the command again in a moment. Where a database is away, `tidegate status` says which."},
    {"way-back-rebuilding",
     "The way back is being built anew: until the old database holds what the target holds, a rollback would "
     "lose the difference.",
     "Wait; `tidegate status --watch` shows how far it is. A restart of the daemon goes on with it."},
    {"legacy-not-fenced",
     "The old database takes the application's writes although the target is live, so nothing may be written "
     "there.",
     "Change nothing; the runbook half-done says how to find out which side has the newest rows."},
    {"no-way-back", "The way back was given up with --no-way-back.",
     "Nothing; a rollback is refused. `tidegate resync --way-back` makes a way back after all."},
    {"fence-passed",
     "Somebody has written to the legacy Postgres database while the target was live: in replica mode, or "
     "while a trigger of "
     "the fence was not there. Those rows are not on the target.",
     "Find who it was and stop it; `tidegate events` shows the tables. A rollback wants --accept-loss then: "
     "what was written there "
     "goes to the target after it, in the place of what the target had. Run `tidegate verify` afterwards."},
    {"fence-broken",
     "The application can write to tables of the old database: they were made later, or lost their triggers.",
     "Find the program that does so (`tidegate status` lists who has the file open) and stop it."},
    {"target", "In status: the target cannot be used now. The pipeline captures on and tries again.",
     "The message says why; nothing is lost meanwhile."},
    {"capture",
     "In status: the source cannot be read now. tidegate tries again; of a SQLite source the lag grows until "
     "it can.",
     "The message says why; the target keeps what it has. Where a table changed its shape: `tidegate explain "
     "schema-changed`."},
    // The way back.
    {"way-back-not-reversible",
     "What is written to a table of the target after a cutover could not be brought back: a column is made "
     "by an "
     "expression that cannot be turned round, or a mapping does not say which row of the legacy database it "
     "is.",
     "The finding names table and column. Write [map.reverse], change the mapping so that both ends hold the "
     "same, or "
     "cut over without a way back (--no-way-back)."},
    {"way-back-owner-not-told",
     "Several maps fill one table of the target, and rows that are born there do not say to which legacy "
     "table "
     "they belong. Rows that came from the legacy database are known by their keys and come back.",
     "Write born = \"condition\" (SQL over the target's columns) into each owner's [[map.to]], give each "
     "owner "
     "a constant in one column, or a table of its own with the same key. Without it such rows are rejects "
     "(owner_unknown)."},
    {"way-back-rows-not-followed",
     "Several maps take rows of one legacy table, each with a `where` of its own. The way back follows the "
     "target "
     "rows of one of them; what is changed in rows that only another map takes does not come back.",
     "Write one [[map]] without `where` for the table, and conditions into its [[map.to]], so that each row "
     "has an anchor; or accept that a rollback loses these changes."},
    {"way-back-not-followed",
     "A table of the target is another role's, as those of Supabase Auth are, so tidegate cannot publish it "
     "and its "
     "changes do not come as they happen. What the legacy row needs of it is read when the row's own table "
     "changes.",
     "Nothing, or GRANT the owner's role to tidegate's. After a rollback `tidegate verify` names what "
     "differs."},
    {"way-back-not-streaming",
     "The stream from the target back to the legacy database is not there or does not answer: what is "
     "written after a cutover "
     "would be lost by a rollback.",
     "See that the target answers and gives out a replication slot; SELECT * FROM pg_replication_slots says "
     "how it is."},
    {"way-back-slot-lost",
     "The way back's slot on the target is of no use any more: it was dropped or given up, the server failed "
     "over without it, or somebody else consumed it. The slot of the source is another one, and not meant.",
     "While the source is live nothing is owed: `tidegate cutover --dry-run` makes a new one. While the "
     "target "
     "is live: `tidegate resync --way-back`; see the runbook way-back-lost."},
    {"foreign-writer",
     "Somebody else than tidegate has written to the replicated tables of the target, although the legacy "
     "database is live.",
     "Find and stop the writer, let `tidegate verify` say what differs, and mend it with `tidegate repair`. "
     "What was written before the begin of a verify of all rows that finds nothing blocks no more."},
    {"legacy-not-writable", "The legacy database would not take what comes back after a cutover.",
     "See that tidegate's user may write to the file and its folder, and that nobody holds its lock; of a "
     "Postgres database that its role may write to the tables and set session_replication_role."},
    {"way-back-schema-changed",
     "A table was altered so that its rows cannot go back to the legacy database. Nothing is lost: the way "
     "back waits.",
     "Undo that change, and start the daemon anew; columns that only the target has are no obstacle. Where "
     "rows "
     "were written in the altered table meanwhile: undo it, then `tidegate resync --way-back`."},
    {"way-back-other-journal",
     "The legacy file was written to by the way back of another pipeline or state directory.",
     "Use the state directory that belongs to it (--state)."},
    {"way-back-not-in-history",
     "The legacy file's position is no place in the history that this state directory holds: one of the two "
     "was restored or swapped.",
     "Restore the one that belongs to the other."},
};

}  // namespace

std::span<const Explanation> explained_cutover() {
  return explanations;
}

}  // namespace tidegate::cli
