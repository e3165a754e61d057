// Every code that tidegate prints, and what an operator does about it; tests/unit/house_rules.py says when
// one is missing.
#include <algorithm>
#include <cctype>
#include <iterator>

#include "replicator/cli/explain.hpp"

namespace tidegate::cli {

namespace {

constexpr Explanation explanations[] = {
    // The report.
    {"no-report", "No pipeline has run in the state directory, so there is nothing to report.",
     "Say which pipeline with --state DIR; `tidegate list` shows them."},
    // Backups.
    {"backup-running", "A backup is being made or restored by another process, and one at a time is enough.",
     "Wait for it; if none is, a process was frozen: look for pg_dump or pg_restore."},
    {"backup-broken", "A file of the backup is missing or is not as it was when the backup was made.",
     "Use another one (`tidegate backup list`), and look after the disk."},
    {"no-such-backup",
     "The pipeline's backups are in the folder backups of its state directory; this one is not there.",
     "`tidegate backup list` names them; --state DIR says which pipeline."},
    {"backup-others",
     "The target holds another pipeline as well, and a restore would set its tables back too.",
     "End the other one with `tidegate reset --target` and its own settings, or restore by hand."},
    {"backup-of-server", "tidegate backs up targets, and sources that are SQLite files.",
     "Use the source's own backups, or pg_dump."},
    {"backup-not-fresh",
     "A cutover wants a backup of the target that is not older than [cutover] backup_max_age (a day).",
     "`tidegate backup create`; or set backup_max_age = \"0s\" if others take backups."},
    {"source-damaged", "SQLite's own check says that the source's file is damaged.",
     "Run PRAGMA integrity_check on it, and bring back a copy from before."},
    // Migration files.
    {"migrations-differ",
     "The migrations make something that the plan now makes otherwise: a column of another type, another "
     "function. "
     "`schema make` writes what is new, and leaves what is to become of rows that are there to you.",
     "Write a migration of your own for it, if the target is to follow."},
    {"schema-mapped",
     "With a [[map]] the target's tables are a model of their own, which the mapping fills and does not "
     "describe.",
     "Write their migrations by hand; `tidegate plan` checks that the mapping fits them."},
    {"schema-history-differs",
     "The target's supabase_migrations.schema_migrations names a version that supabase/migrations here does "
     "not have.",
     "Bring the file here, from version control or with `supabase migration fetch`."},
    {"schema-out-of-order",
     "A migration is older than the newest that the target has had. The Supabase CLI refuses that too.",
     "Give it a newer version, if it may come after that one."},
    {"migration-not-readable", "A file in supabase/migrations cannot be read, or its SQL cannot be followed.",
     "Look at the place that was named: a quote or comment that stays open, or the file's rights."},
    {"migration-version-twice", "Two files in supabase/migrations have one version.",
     "Give one of them another version."},
    {"target-lacks-table", "A table that the plan asks for is not in the target.",
     "`tidegate schema make` and `schema apply`, or [target] schema = \"create\"."},
    {"target-lacks-column", "A column that the plan asks for is not in the target's table.",
     "`tidegate schema make` and `schema apply`, or a migration of your own."},
    {"target-other-type",
     "A column of the target has another type than the plan gives it. That may be right: what is there is "
     "used, and "
     "values that do not fit are told by `doctor`.",
     "Change the column by a migration of your own, if it should be as planned."},
    // The way back.
    {"way-back-not-reversible",
     "A column of the target is made from the legacy's by an expression that cannot be turned round, so what "
     "is written to "
     "it after a cutover could not be brought back.",
     "Change the mapping so that both ends hold the same, or cut over without a way back (--no-way-back)."},
    {"way-back-not-streaming",
     "The stream from the target back to the legacy database is not there or does not answer: what is "
     "written after a cutover "
     "would be lost by a rollback.",
     "See that the target answers and gives out a replication slot; SELECT * FROM pg_replication_slots says "
     "how it is."},
    {"foreign-writer",
     "Somebody else than tidegate has written to the replicated tables of the target, although the legacy "
     "database is live.",
     "Find and stop the writer, let `tidegate verify` say what differs, and mend it with `tidegate repair`."},
    {"legacy-not-writable", "The legacy database would not take what comes back after a cutover.",
     "See that tidegate's user may write to the file and its folder, and that nobody holds its lock."},
    {"way-back-schema-changed",
     "A table was altered so that its rows cannot go back to the legacy database. Nothing is lost: the way "
     "back waits.",
     "Undo that change; columns that only the target has are no obstacle."},
    {"way-back-other-journal",
     "The legacy file was written to by the way back of another pipeline or state directory.",
     "Use the state directory that belongs to it (--state)."},
    {"way-back-not-in-history",
     "The legacy file's position is no place in the history that this state directory holds: one of the two "
     "was restored or swapped.",
     "Restore the one that belongs to the other."},
    // The command line and the configuration.
    {"usage", "The command line has a word or flag that cannot be used.",
     "tidegate VERB --help shows what a verb takes."},
    {"refused", "A check refused before anything was changed.",
     "The sentence says what blocks; `tidegate doctor` checks all at once."},
    {"unknown-key",
     "tidegate.toml holds a key that no setting has. It is refused so that a mistyped setting cannot be "
     "ignored.",
     "Correct the key at the place that was named; `tidegate config show` lists all settings."},
    {"bad-setting", "A setting's value has the wrong type or form.",
     "Correct it at the place that was named; sizes are like \"16MiB\", durations like \"50ms\"."},
    {"bad-toml", "The configuration file is not valid TOML.",
     "Look at the line that was named: strings want quotes, tables begin with [name]."},
    {"bad-env-file", "A line of the --env-file is not NAME=value.", "Correct the line that was named."},
    {"variable-not-set", "tidegate.toml uses ${NAME}, and no such variable is set.",
     "Set it in the environment, or give the file that sets it with --env-file."},
    {"credentials-secret-short",
     "The secret from which temporary passwords are made has fewer than 16 bytes, so that somebody could "
     "find it by trying.",
     "Make one with `openssl rand -hex 32`, keep it as safe as the passwords, and give it in "
     "TIDEGATE_CREDENTIALS_SECRET."},
    {"no-password-given", "login-check got no password to try.",
     "Type it when asked, or give it as the first line of standard input; it is never taken from the command "
     "line."},
    {"no-credentials-secret",
     "A temporary password is made from the user's key and a secret of yours, so that a replay after a crash "
     "makes the same; there is none.",
     "Make one with `openssl rand -hex 32`, and set TIDEGATE_CREDENTIALS_SECRET or "
     "TIDEGATE_CREDENTIALS_SECRET_FILE."},
    {"no-auth-preset",
     "No [[map]] has preset = \"supabase-auth\", so tidegate does not know which table holds users.",
     "Users that another program carries over are that program's to list."},
    {"nothing-loaded",
     "The state directory holds no pipeline yet, so nobody's password has become another one.",
     "Export after the load; --state DIR says which pipeline."},
    {"file-exists", "The file that was to be written is there already, and stays as it is.",
     "Name another file, or move it away first; `init` takes --force."},
    {"passwords-not-carried",
     "Supabase Auth checks bcrypt, argon2 and Firebase scrypt (werkzeug's scrypt becomes that). Of other "
     "hashes nothing can be made.",
     "Let the legacy application hash anew at each login before the cutover, which the stream carries over; "
     "the rest gets a reset, or "
     "missing_password = \"temporary\"."},
    {"email-twice",
     "Supabase Auth compares addresses in lower case: two users of the source have one address, perhaps in "
     "two spellings, and only one of "
     "them can be written.",
     "Merge the two, or change one's address, in the source; unique_value() makes them apart by itself."},
    {"map-clash",
     "Several rows of the source become one on the target, or share a value that is unique there.",
     "Decide in the source which is right, give the key more columns, or settle it with unique_value()."},
    {"map-orphans", "Rows refer to a parent that no map brings.",
     "Bring the parents as well, mend the rows in the source, or leave them out with `where`."},
    {"map-enum", "The target's enum has no label for a value.",
     "Add the label with a migration, or map the value with case … end."},
    {"map-null", "A column that must not be NULL would be.",
     "Give a value with coalesce(), or leave the rows out with `where`."},
    {"map-misfit", "A mapped value does not fit the target's column, or its expression failed.",
     "Mend the values in the source or change the expression; each such row goes to the quarantine."},
    {"no-auth-users",
     "The target has no tables auth.users and auth.identities, so that it is no Supabase project.",
     "Look whether the target's URL is the right one."},
    {"login-not-found",
     "A login looks for the address in lower case, among users with aud 'authenticated', the zero UUID as "
     "instance_id and no single sign-on; it finds none.",
     "Look whether the user was carried over (`tidegate quarantine list`), and with preset = "
     "\"supabase-auth\"."},
    {"login-two-spellings",
     "Two users have one address in different spellings; a login means either of them.",
     "Decide which of the two is right, and change the other's address in the source."},
    {"login-null-column",
     "Supabase Auth reads this column into a text or time that cannot be NULL, and answers each login "
     "with \"Database error querying schema\".",
     "Use preset = \"supabase-auth\", which fills it; for rows that are there, set tokens to '' and times to "
     "a time."},
    {"login-unusable-hash",
     "Supabase Auth accepts bcrypt, argon2i, argon2id and Firebase scrypt; another hash ends each login "
     "in an internal error.",
     "Map the column with password_hash(…), which stores '' for it, and send the user a reset."},
    {"login-role", "The user's role is not 'authenticated': what the token allows is that role's.",
     "Set role to 'authenticated'; an application's own roles belong into raw_app_meta_data."},
    {"login-not-confirmed", "Supabase Auth answers \"Email not confirmed\".",
     "Set email_confirmed_at for addresses that the legacy application had confirmed."},
    {"login-banned", "The user is banned until a time in the future.",
     "Set banned_until to NULL if that is not meant."},
    {"login-no-identity",
     "The user has no identity of provider 'email', which later versions of Supabase Auth expect of each "
     "user with a password.",
     "Use preset = \"supabase-auth\", which writes auth.identities along with auth.users."},
    {"login-no-password", "The user's encrypted_password is empty: the old hash could not be carried over.",
     "Send the user a password reset."},
    {"login-wrong-password", "The password does not fit the stored hash.",
     "If it is surely the right one, the legacy application may hash something else than the password: a "
     "digest or an HMAC of "
     "it (Flask-Security, BCRYPT_HANDLE_LONG_PASSWORDS). Such users need a reset."},
    {"bad-url", "The source or target is not in a form that tidegate reads.",
     "Give a path to a SQLite file, sqlite:////abs/path, or postgresql://user@host:port/dbname; "
     "percent-encode / ? # % in a password."},
    {"ambiguous-sqlite-url",
     "sqlite:/// with a folder is a relative path to SQLAlchemy, while many mean an absolute one.",
     "Write four slashes for an absolute path, or sqlite:///./path for a relative one."},
    {"password-on-command-line",
     "A URL on the command line held a password; every user of a machine can read command lines.",
     "Use TIDEGATE_TARGET_URL, an --env-file, tidegate.toml or a PGPASSFILE. Change the password if others "
     "use this machine."},
    {"password-placeholder", "The URL was copied from Supabase with [YOUR-PASSWORD] still in it.",
     "Put the database's password there: Project Settings, Database."},
    {"transaction-pooler",
     "Port 6543 is Supabase's pooler in transaction mode: one session's settings and locks would be spread "
     "over many.",
     "Use the direct connection, or the pooler's session mode, both on port 5432."},
    {"no-source", "No source is named by flag, environment or file.",
     "tidegate run --source /srv/app/app.db, or `tidegate init` to write a file."},
    {"no-target", "No target is named by flag, environment or file.",
     "Set TIDEGATE_TARGET_URL or [target] url."},
    {"not-in-this-release", "The setting is known, but this release does not do it yet.",
     "Take it out of the file, or use a later release."},
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
    {"verify-rows-of-nobody",
     "A table that several maps fill has rows which none of them says are its own, by its `rows` or its "
     "remembered keys.",
     "They are not compared, and never deleted. Somebody else wrote them; where that is not wanted, remove "
     "them."},
    {"verify-table-in-resync",
     "A table that is being copied again shows no state that the source had, so verify left it out.",
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
    // A Postgres source's stream.
    {"bad-slot-name", "A replication slot's name has 1 to 63 characters of a-z, 0-9 and _.",
     "Give [source] a name of those."},
    {"slot-missing",
     "The source has no replication slot of that name any more, so changes since then are gone.",
     "Somebody dropped it, or the source is a restored copy. Start again with a new state directory and an "
     "emptied target."},
    {"slot-not-ours", "The replication slot belongs to something else: another plugin or database.",
     "Give [source] another slot's name."},
    {"slot-lost",
     "The source has given up the replication slot: it kept more WAL than max_slot_wal_keep_size.",
     "Drop the slot, raise max_slot_wal_keep_size on the source, and start again with a new state directory "
     "and an emptied target."},
    {"slot-ahead", "The replication slot was consumed further than the journal reaches.",
     "Another reader used the slot, or the state directory was restored from an older copy. Start again with "
     "a new slot, a new state directory and an emptied target."},
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
    // Values that do not fit.
    {"zero_date", "A date column holds 0000-00-00.", "[[rule]] on = \"zero_date\", do = \"null\"."},
    {"not_a_boolean", "A boolean column holds something that is not 0 or 1.",
     "Mend the rows in the source, or [[rule]] do = \"null\" or \"text\"."},
    {"epoch", "A date column holds a number: seconds or milliseconds since 1970.",
     "[[rule]] on = \"epoch\", do = \"convert\"."},
    {"julian", "A date column holds a Julian day.", "[[rule]] on = \"julian\", do = \"convert\"."},
    {"empty", "A column that is no text holds an empty text.", "[[rule]] on = \"empty\", do = \"null\"."},
    {"nul", "A text holds a NUL character, which Postgres cannot store.",
     "[[rule]] on = \"nul\", do = \"strip\"."},
    {"invalid_utf8", "A text is not valid UTF-8.",
     "[[rule]] on = \"invalid_utf8\", do = \"strip\", or mend the rows in the source."},
    {"not_a_number", "A column of numbers holds a text that is none.",
     "Mend the rows in the source, or [[rule]] do = \"null\" or \"text\"."},
    {"out_of_range", "A number is larger than the target's column takes.",
     "Widen the target's column, or [[rule]] do = \"null\" or \"text\"."},
    {"too_long", "A text is longer than the target's varchar.",
     "Widen the target's column, or [[rule]] do = \"strip\"."},
    {"invalid_json", "A JSON column holds a text that is not JSON.",
     "Mend the rows in the source, or [[rule]] do = \"null\" or \"text\"."},
    {"not_a_time", "A date or time column holds a text that is none.",
     "Mend the rows in the source, or [[rule]] do = \"null\" or \"text\"."},
    {"wrong_class",
     "The value's storage class cannot be the column's type, a blob in a column of numbers, say.",
     "Mend the row in the source, then `tidegate quarantine retry`."},
    {"null_key", "A primary key column holds NULL, which Postgres does not take.",
     "Give the row a key in the source, then `tidegate quarantine retry`."},
    {"rejected", "The target refused the row: a constraint or trigger of its own.",
     "`tidegate quarantine show ID` names the constraint; mend row or constraint, then `tidegate quarantine "
     "retry`."},
    {"map-expression",
     "An expression or condition of a [[map]] is not SQL that the source's row can be put into.",
     "Correct it at the place that was named; columns are those of the table in `from`, functions are "
     "SQLite's and "
     "those of README.md, \"Mapping\"."},
    {"map-not-repeatable",
     "An expression of a [[map]] depends on the time or on chance, so a replay after a crash would write "
     "other rows.",
     "Take the value from the row, or leave the column to the target's default."},
    {"map-key", "The key of a [[map.to]] names a column that the map does not fill.",
     "Map that column, or name the target's key with key = [\"…\"]; without it the key is id."},
    {"no-keys", "The state directory has no key memory: its pipeline has no mapping, or never ran.",
     "Name the pipeline with --state DIR."},
    {"no-such-pipeline", "The target's schema tidegate knows no pipeline of this name.",
     "Use the configuration with which it ran; the name is [pipeline] name."},
    {"not-confirmed", "A verb that takes data away wants the pipeline's name once more.",
     "Add --confirm NAME."},
    {"map-two-owners", "Two maps own rows of one target table, and nothing says which rows are whose.",
     "Give each rows = \"a condition on the target's columns\", make the keys surrogate() or uuid() with "
     "another first "
     "word for each source, or make one a contributor."},
    {"map-no-owner", "A map only contributes columns to a target table whose rows no map owns.",
     "Leave role = \"contributor\" out."},
    {"map-truncated", "A mapped table was truncated while its first copy was under way.",
     "`tidegate reset --target`, and begin again."},
    {"map-type",
     "A type that a [[map.to]] names is not the type of the target's column, or values cannot be cast to it.",
     "Correct `types` or the expression at the place that was named, or change the column with a migration."},
    {"map-no-such-table", "A [[map]] reads a table that the source does not have, or that is left out.",
     "Correct `from`, or include the table ([tables] include)."},
    {"map-column-not-read", "No [[map]] reads this column of a mapped table, so its values stay behind.",
     "Map it, or ignore this."},
    {"mapping-changed",
     "The [[map]] sections are not those with which this pipeline began. Rows that are in the target came "
     "from the old "
     "ones, so going on would mix two mappings.",
     "Bring the old mapping back, or empty the target with `tidegate reset --target` and begin again."},
    {"expression_failed", "An expression of the mapping failed for this row; the column is named.",
     "Mend the row in the source, or the expression; the row is tried again when it changes, or with "
     "`tidegate "
     "quarantine retry`."},
    {"row_missing",
     "The source changed or deleted a row that the target does not have: something else has written there.",
     "`tidegate quarantine retry` reads the row from the source again."},
    {"rules",
     "The words of a [[rule]]: table, column, on (zero_date, not_a_boolean, epoch, julian, empty, nul, "
     "invalid_utf8, not_a_number, out_of_range, too_long, invalid_json, not_a_time) and do (null, strip, "
     "text, convert, quarantine).",
     "Without a rule a value that does not fit is quarantined, and the other rows go on."},
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
     "others stay."},
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
     "lost, drop the "
     "target's tables and its schema tidegate, and begin again."},
    {"target-not-in-history",
     "The position in the target is not in this state directory's journal: one of the two was restored or "
     "swapped.",
     "Use the pair that belongs together; or drop the target's tables and its schema tidegate, and begin "
     "again with a new "
     "--state directory."},
    {"target-swapped", "This state directory has filled a target before, and this one holds nothing of it.",
     "Use the right target, or a new --state directory to fill this one."},
    {"source-file", "doctor says where the source lies and how it keeps its journal.", "Nothing."},
    {"target-in-use", "The target's schema tidegate has this pipeline already.",
     "Nothing: `tidegate run` on the same state directory goes on with it."},
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
     "the legacy file's table _tidegate_rejects by table, key, column and reason.",
     "Change them on the target so that they fit, which takes them out; or give them up with `tidegate "
     "rollback "
     "--accept-loss`."},
    {"rollback-lag",
     "What is committed on the target takes longer to the legacy database than --max-lag allows.",
     "Wait until the way back has caught up (`tidegate status`), or for a quieter time."},
    {"rollback-postgres", "The rollback to a Postgres source is not in this release.", "Wait for it."},
    {"target-held",
     "A transaction of the target has held its tables for seconds, or maintains them (VACUUM, CREATE INDEX): "
     "a "
     "hold would wait for it.",
     "Let it end, or end it: SELECT pg_terminate_backend(PID)."},
    {"finalized", "The pipeline was finalized, or that was begun: nothing is replicated any more.",
     "If it was not finished, `tidegate finalize --confirm NAME` goes on. A new migration needs a new state "
     "directory."},
    {"finalize-begun", "finalize was begun before and goes on where it ended.", "Nothing."},
    {"finalize-will", "What finalize takes away.", "Nothing; --confirm NAME does it."},
    {"journal-mode-not-restored", "SQLite leaves WAL only while no other program has the file open.",
     "End that program (`lsof FILE` names it), and give the command again."},
    {"confirm-needed",
     "A cutover or rollback changes which database is live, so it wants the pipeline's name typed.",
     "tidegate cutover --confirm NAME, after --dry-run and --rehearse; tidegate rollback --confirm NAME."},
    {"half-done",
     "The journal of cutovers, the fence in the source and what the target says of itself contradict each "
     "other: a "
     "database was restored or replaced, or a state directory was lost.",
     "Change nothing. Look at the table _tidegate_fence in the source and at tidegate.live_side in the "
     "target: the side "
     "that took writes last is the one to keep."},
    {"cutover-journal", "The journal of cutovers was written by a newer tidegate.", "Use that version."},
    {"cutover-postgres", "The cutover of a Postgres source is not in this release.", "Wait for it."},
    {"cutover-mapped",
     "With [[map]], the target's sequences and the way back depend on the mapping, which the cutover does "
     "not look at yet.",
     "Wait for it."},
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
    {"hooks-missing", "[hooks] dir names a folder that is not there.", "Make it, or take the setting out."},
    {"hook-not-executable", "A hook is there and cannot be executed.",
     "chmod +x it, and look at its first line."},
    {"hook-not-safe", "A hook could be changed by another user, and would run as tidegate.",
     "Make it yours or root's, and writable by its owner only."},
    {"hook-check-failed", "The hook `check`, which looks whether the others could do their work, failed.",
     "Its output is in the audit; run it by hand."},
    {"hook-failed", "A hook failed, hung or could not be started.",
     "Its output is in the audit. Once the target is live, `tidegate cutover --continue` runs the hooks of "
     "the switch again."},
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
    {"way-back-not-configured", "Nothing would bring the target's writes back to the legacy database.",
     "--no-way-back goes on without: a rollback then loses all that was written after the cutover."},
    {"way-back-failed", "The way back could not be made ready, or has stopped.",
     "Mend what the message says; before a cutover it blocks, after it the rollback's possible loss grows."},
    {"no-way-back", "The way back was given up with --no-way-back.",
     "Nothing; a rollback loses all that was written after the cutover."},
    {"fence-broken",
     "The application can write to tables of the old database: they were made later, or lost their triggers.",
     "Find the program that does so (`tidegate status` lists who has the file open) and stop it."},
    {"target", "In status: the target cannot be used now. The pipeline captures on and tries again.",
     "The message says why; nothing is lost meanwhile."},
    {"capture", "In status: the source cannot be read now. tidegate tries again.",
     "The message says why; the target keeps what it has."},
    // What the operator said, or did not say.
    {"needs-yes",
     "A first run writes to the target only after the plan was approved, and there is no terminal to ask in.",
     "Look at `tidegate plan`, then add --yes."},
    {"not-approved", "The plan was shown and not approved, or the run was stopped before it was.",
     "Change tidegate.toml and run again; nothing was written to the target."},
    {"no-such-entry", "The quarantine has no entry with that id.",
     "`tidegate quarantine list` prints the ids."},
    {"not-streaming",
     "A cutover, verify, copying a table again, and reading rows of the quarantine again need a pipeline "
     "that "
     "is streaming.",
     "Wait; `tidegate status` shows the phase. After `tidegate pause`: tidegate resume."},
    {"nothing-to-reset", "The source holds nothing that tidegate made.", "Remove the state directory."},
    {"running", "A daemon is at work on this state directory.", "`tidegate stop` ends it."},
    {"no-key", "Rows of a table without a key cannot be found at the source one by one.",
     "`tidegate resync TABLE` copies the whole table again."},
    {"no-such-table", "No replicated table has that name, or more than one has.",
     "`tidegate status` lists the tables; name one as it is printed there, with its schema."},
    {"resync-mapped", "A table that a [[map]] reads cannot be copied again by itself yet.",
     "`tidegate reset --target --confirm NAME`, then begin again with a new state directory; the key memory "
     "stays in the target."},
    {"resync-failed",
     "A table is being copied again, and something went wrong: a server that is away, a source without a "
     "spare replication slot, a target without room. What was copied stays, the daemon tries again every few "
     "seconds, and the rest of the pipeline streams on.",
     "Mend what the message names; the resync goes on by itself."},
    {"table-stopped", "A table that was being copied again was stopped by a change of its schema.",
     "`tidegate status` says what changed and what to run."},
    {"stopping", "The daemon was stopped while it was at work on the request.", "Start it and ask again."},
    // What doctor and plan find about the source.
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
    {"not-carried",
     "Something in the source has no counterpart on the target: a trigger, a view, a virtual table.",
     "Make its counterpart in the target's own migrations, if it is needed there."},
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
     "The clocks of this machine and of the target differ. Positions and order do not depend on clocks; "
     "times in logs, audit and reports do.",
     "Let both machines keep their clocks by NTP."},
    {"behind-pooler",
     "A pooler stands between tidegate and the target. Its session mode is enough to write; transaction mode "
     "is not, and a way back needs a "
     "direct connection.",
     "Take the direct connection (db.PROJECT.supabase.co:5432), or make sure of session mode."},
    {"tls-not-verified",
     "The connection to the target is encrypted, but nobody checks that it is the target that answers.",
     "sslmode=verify-full with the project's CA file in [target] ca_file."},
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
    {"no-tls", "The connection to the target is not encrypted.",
     "Take sslmode=verify-full, with the project's CA file in [target] ca_file."},
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
     "on_schema_change = \"carry\" that happens by itself."},
    {"table-not-carried", "A table that a change of its schema stopped cannot be copied again by itself.",
     "Do what the message says on the target or at the source, then `tidegate resync TABLE`."},
    {"schema-existing",
     "A table came to the source, and the target's tables are made by others (schema = \"existing\").",
     "Make it there by a migration, and begin a new pipeline with it."},
    {"mapped-table", "A table that [[map]] reads is not copied again yet.",
     "Undo the change at the source where there was one; else fill a new target from the beginning."},
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
    // Files, the state directory, the API.
    {"failed", "Something failed that has no code of its own.", "The sentence says what; the log says more."},
    {"bad-flag", "A flag's value is none of its words.", "tidegate --help lists them."},
    {"bad-request", "The daemon's API was sent something that is no HTTP request.",
     "Use the verbs, or HTTP over the socket api.sock."},
    {"request-too-large", "A request to the daemon's API is larger than it takes.", "Ask for less at once."},
    {"no-such-path", "The daemon's API does not have that path.",
     "Check that program and daemon are of one version: tidegate version, tidegate status --json."},
    {"no-thread", "The system gave the daemon no more threads.",
     "Look at the limits of its user, and try again."},
    {"no-such-file", "A file that was named does not exist or cannot be read.", "Check the path."},
    {"log-file", "The log file cannot be written.", "Check its folder and rights."},
    {"no-audit", "The state directory has no audit yet.",
     "Check which pipeline is meant: tidegate list, --state DIR."},
    {"audit-broken",
     "The audit's entries do not follow from each other, or are not those that the target knows: somebody "
     "changed or removed "
     "entries, or put back an older control.db.",
     "Copy control.db away as it is. Compare it with a backup of the state directory, and ask who may write "
     "there; the daemon goes on."},
    {"no-journal", "The state directory has no journal yet.",
     "Check which pipeline is meant: tidegate list, --state DIR."},
    {"no-pipeline", "No pipeline was found here.",
     "Say which with --state DIR, or start one with tidegate run."},
    {"no-try-script", "`tidegate try` needs deploy/try.sh from the source tree, to start a target.",
     "Run deploy/try.sh there."},
    {"not-answering",
     "A daemon holds the state directory and does not answer: it is starting, ending or stuck.",
     "Try again; then look at its log."},
    {"not-permitted", "The daemon belongs to another user.", "Run the command as that user."},
    {"socket-name-too-long", "The name of the API's socket is longer than the system takes.",
     "Give a state directory with a shorter path."},
    {"state-dir-not-a-folder", "A file stands where the state directory should be.",
     "Give another with --state DIR."},
    {"state-dir-of-another-user", "The state directory belongs to another user.",
     "Run as that user, or give another with --state DIR."},
    {"target-not-postgres", "The target is a file; tidegate writes into Postgres.",
     "Give postgresql://user@host:port/dbname."},
    {"unknown-code", "`tidegate explain` does not know the code.",
     "Copy it as it was printed, from between the brackets or \"code\"."},
};

bool same_code(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

const Explanation* explanation_of(std::string_view code) {
  const auto* found = std::find_if(std::begin(explanations), std::end(explanations),
                                   [&](const Explanation& e) { return same_code(e.code, code); });
  return found == std::end(explanations) ? nullptr : found;
}

std::vector<std::string> explained_codes() {
  std::vector<std::string> codes;
  for (const auto& explanation : explanations) codes.emplace_back(explanation.code);
  return codes;
}

}  // namespace tidegate::cli
