#include "replicator/cli/explained/explained.hpp"

namespace tidegate::cli {
namespace {

constexpr Explanation explanations[] = {
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
    {"resync-failed",
     "A table is being copied again, and something went wrong: a server that is away, a source without a "
     "spare replication slot, a target without room. What was copied stays, the daemon tries again every few "
     "seconds, and the rest of the pipeline streams on.",
     "Mend what the message names; the resync goes on by itself."},
    {"table-stopped", "A table that was being copied again was stopped by a change of its schema.",
     "`tidegate status` says what changed and what to run."},
    {"stopping", "The daemon was stopped while it was at work on the request.", "Start it and ask again."},
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
    // Migration files.
    {"migrations-differ",
     "The migrations make something that the plan now makes otherwise: a column of another type, another "
     "function. `schema make` writes what no row can be in the way of; of another type that rows may not fit "
     "it "
     "writes a comment, with what to look at first.",
     "Carry the comment's statements out in a migration of your own, if the target is to follow."},
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
};

}  // namespace

std::span<const Explanation> explained_operator() {
  return explanations;
}

}  // namespace tidegate::cli
