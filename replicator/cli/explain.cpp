#include "replicator/cli/explain.hpp"

#include <boost/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "replicator/cli/verbs.hpp"
#include "replicator/failure.hpp"
#include "replicator/nearest.hpp"

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
    {"not-in-this-release", "The setting or verb is known, but this release does not do it yet.",
     "Take it out of the file, or use a later release."},
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

int explain(const Invocation& invocation) {
  const Explanation* found = explanation_of(invocation.word);
  if (!found)
    throw Coded<Usage>("unknown-code",
                       fmt::format("no finding or error has the code '{}'", masked_text(invocation.word)),
                       did_you_mean(invocation.word, explained_codes()));
  if (invocation.json)
    fmt::print("{}\n", boost::json::serialize(boost::json::value{
                           {"code", found->code}, {"meaning", found->meaning}, {"mend", found->mend}}));
  else
    fmt::print("{}\n  {}\n\n  {}\n", found->code, found->meaning, found->mend);
  return 0;
}

}  // namespace tidegate::cli
