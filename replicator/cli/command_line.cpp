#include "replicator/cli/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

#include "replicator/config/units.hpp"
#include "replicator/failure.hpp"
#include "replicator/nearest.hpp"
#include "replicator/version.hpp"

namespace tidegate::cli {

namespace {

// Words that are turned into something else after the line is read.
struct Raw {
  std::optional<std::string> tables, timeout, rate, rest, max_hold, max_lag;
};

struct VerbWords {
  const char* name;
  const char* group;
  const char* what;
  const char* example;
};

constexpr VerbWords verb_words[] = {
    {"try", "Begin", "Replicate a database, or the sample app, into a throw-away local target, and show it",
     "tidegate try app.db"},
    {"init", "Begin", "Look at the source and write tidegate.toml and .env.example",
     "tidegate init --source /srv/app/app.db"},
    {"config", "Begin", "Validate the configuration, or show what is in force and from where",
     "tidegate config show --env-file .env"},
    {"doctor", "Begin", "Check both ends and the data; exit 2 if anything blocks",
     "tidegate doctor --env-file .env"},
    {"plan", "Begin", "What would be created, mapped, copied, lost; changes nothing",
     "tidegate plan --source app.db --tables 'user*,project'"},
    {"schema", "Begin", "The target's DDL as versioned SQL in supabase/migrations: make, list, apply, diff",
     "tidegate schema make begin"},
    {"backup", "Begin", "Of the target or a SQLite source: create, list, verify, restore",
     "tidegate backup create"},
    {"run", "Run", "Snapshot, then stream; resumes where it was",
     "tidegate run --source /srv/app/app.db --env-file .env --yes"},
    {"stop", "Run", "End the daemon cleanly", "tidegate stop"},
    {"pause", "Run", "Stop applying; capture goes on into the journal",
     "tidegate pause --reason 'target is being restored'"},
    {"resume", "Run", "Apply again after a pause", "tidegate resume"},
    {"throttle", "Run", "Limit the rows per second that are written to the target", "tidegate throttle 2000"},
    {"list", "Watch", "The pipelines of this user on this machine", "tidegate list --json"},
    {"status", "Watch", "Phase, progress, lag, quarantine, next steps", "tidegate status --watch"},
    {"sync", "Watch",
     "Wait until all that was committed before this call is in the target; once that is live, in the old "
     "database",
     "tidegate sync --timeout 30"},
    {"verify", "Prove", "Compare every row of both ends at one position; exit 3 on a difference",
     "tidegate verify --html report.html"},
    {"events", "Watch", "The journal as JSON lines", "tidegate events --follow"},
    {"audit", "Watch", "Who did what, when and why; and whether that record is whole",
     "tidegate audit --json > audit.jsonl"},
    {"report", "Prove", "The whole migration on one page: times, counts, rates, errors, differences",
     "tidegate report --html migration.html"},
    {"support-bundle", "Mend",
     "Configuration, status, log and findings in a tar, without secrets and row values",
     "tidegate support-bundle bundle.tar.gz"},
    {"repair", "Mend", "Bring the rows that verify found to differ back in line, and verify them again",
     "tidegate repair --dry-run"},
    {"quarantine", "Mend", "Rows that did not fit: list, show, retry, accept", "tidegate quarantine list"},
    {"cutover", "Switch", "Make the target live: --dry-run, --rehearse, or --confirm NAME",
     "tidegate cutover --rehearse"},
    {"rollback", "Switch",
     "Make the source live again, with all that was written meanwhile: --dry-run, --confirm NAME",
     "tidegate rollback --dry-run"},
    {"finalize", "Switch",
     "After a cutover: take tidegate out of both databases; no rollback is possible then",
     "tidegate finalize --dry-run"},
    {"abort", "Switch", "Give a cutover or rollback up, before its point of no return",
     "tidegate abort --reason 'not today'"},
    {"login-check", "Mend",
     "Would Supabase Auth accept a login? The password comes from the terminal or standard input",
     "tidegate login-check ann@example.org"},
    {"keys", "Mend", "What the mapping's keys became: export", "tidegate keys export > keys.jsonl"},
    {"credentials", "Mend", "Users whose old password could not be carried over: export",
     "tidegate credentials export --out credentials.csv"},
    {"resync", "Mend",
     "Copy one table again while everything else streams on; or build the way back anew (--way-back)",
     "tidegate resync public.orders"},
    {"reset", "Mend",
     "Take out of the target what the pipeline put there, or give the pipeline up at its source",
     "tidegate reset --target --confirm NAME"},
    {"explain", "Mend", "What a finding or error code means and what to do; a runbook's page",
     "tidegate explain transaction-pooler"},
    {"version", "Mend", "The program's version", "tidegate version --json"},
};

constexpr VerbWords config_words[] = {
    {"check", "", "Validate the configuration", "tidegate config check"},
    {"show", "", "Every setting, its value (secrets masked) and where it comes from", "tidegate config show"},
};
constexpr VerbWords schema_words[] = {
    {"make", "", "Write what the plan asks for and the migrations do not make yet; reads only",
     "tidegate schema make add_notes"},
    {"list", "", "Which migrations are here, and which the target has had", "tidegate schema list"},
    {"apply", "", "Carry out what the target has not had", "tidegate schema apply --yes"},
    {"diff", "", "What make would write, what apply would do, what the target lacks; exit 3 if anything",
     "tidegate schema diff"},
};
constexpr VerbWords backup_words[] = {
    {"create", "", "Keep what the target holds now, or the source's file", "tidegate backup create source"},
    {"list", "", "The backups of a pipeline", "tidegate backup list --json"},
    {"verify", "", "Read a backup again and compare its checksums; exit 3 if it is not whole",
     "tidegate backup verify 20260301T120000Z-target"},
    {"restore", "", "Set the target back to a backup, or write a source's to a new file",
     "tidegate backup restore 20260301T120000Z-target --confirm NAME"},
};
constexpr VerbWords verify_words[] = {
    {"status", "", "How far it is, and what the newest run found", "tidegate verify status --json"},
    {"stop", "", "End the run", "tidegate verify stop"},
};
constexpr VerbWords quarantine_words[] = {
    {"list", "", "Every row in quarantine: table, key, column, reason",
     "tidegate quarantine list --tables user"},
    {"show", "", "One entry with all that is known", "tidegate quarantine show 17"},
    {"retry", "", "Read the rows again from the source and apply them", "tidegate quarantine retry --all"},
    {"accept", "", "Leave the rows out for good; needs --reason",
     "tidegate quarantine accept 17 --reason 'test data'"},
};

constexpr VerbWords keys_words[] = {
    {"export", "", "Every answer of uuid(), surrogate() and unique_value() that is remembered, as JSON lines",
     "tidegate keys export > keys.jsonl"},
};

constexpr VerbWords credentials_words[] = {
    {"export", "",
     "Who needs a reset or has a temporary password, by kind of hash, into a file that only you can read",
     "tidegate credentials export --out credentials.csv"},
};

CLI::App* add_verb(CLI::App& parent, const VerbWords& words) {
  CLI::App* verb = parent.add_subcommand(words.name, words.what);
  verb->group(words.group[0] ? words.group : "Verbs");
  verb->footer(fmt::format("Example:\n  {}\n\nCommon flags: tidegate --help", words.example));
  return verb;
}

void add_common_flags(CLI::App& app, Invocation& into, Raw& raw) {
  Flags& flags = into.flags;
  const auto add = [&](const char* name, auto& target, const char* what) {
    app.add_option(name, target, what)->type_name("")->group("Common flags");
  };
  add("--config", flags.config, "FILE: the configuration (default tidegate.toml, if it is there)");
  add("--state", flags.state, "DIR: the state directory (default ./.tidegate/NAME)");
  add("--source", flags.source, "PATH or URL of the source");
  add("--target", flags.target, "URL of the target, without its password");
  add("--tables", raw.tables, "A,B: only these; patterns with * and ?");
  add("--env-file", flags.env_file, "FILE of NAME=value lines: adds to the environment");
  add("--log-format", flags.log_format, "text or json");
  add("--log-level", flags.log_level, "debug, info, warn or error");
  add("--log-file", flags.log_file, "FILE: the log goes there instead of stderr");
  add("--reason", flags.reason, "TEXT: why; kept in the audit");
  app.add_flag("--yes", into.yes, "Answer yes to what would be asked")->group("Common flags");
  app.add_flag("--json", into.json, "Machine-readable output, errors too")->group("Common flags");
  app.add_flag("-v,--verbose", into.verbose, "More; twice for still more")->group("Common flags");
}

// Of cutover and rollback.
void add_switch_flags(CLI::App& verb, Invocation::Cutover& into, Raw& raw) {
  auto* dry_run =
      verb.add_flag("--dry-run", into.dry_run, "Check all that is asked beforehand; change nothing");
  auto* confirm = verb.add_option("--confirm", into.confirm, "NAME of the pipeline: do it")->type_name("");
  auto* go_on = verb.add_flag("--continue", into.go_on, "Run the hooks of the switch again, once it is over");
  dry_run->excludes(confirm)->excludes(go_on);
  go_on->excludes(confirm);
  verb.add_option("--max-hold", raw.max_hold, "How long writers may be kept waiting, like 500ms")
      ->type_name("");
  verb.add_option("--max-lag", raw.max_lag, "How far the other side may be behind beforehand, like 1s")
      ->type_name("");
  verb.add_option("--attempts", into.attempts, "How often to try where the hold was too short")
      ->type_name("")
      ->check(CLI::Range(1, 100));
}

void add_cutover_flags(CLI::App& verb, Invocation::Cutover& into) {
  verb.add_flag("--rehearse", into.rehearse, "All steps but the last on the live source, then let go")
      ->excludes("--confirm")
      ->excludes("--dry-run")
      ->excludes("--continue");
  verb.add_flag("--no-way-back", into.no_way_back,
                "Go on without a way back: a rollback then loses what came after");
  verb.add_flag("--accept-failed-writes", into.accept_failed_writes,
                "Go on though transactions that read first would fail during the hold");
}

void add_flags_of(const std::string& name, CLI::App& verb, Invocation& into, Raw& raw) {
  if (name == "try")
    verb.add_option("DB", into.word, "The SQLite file; without it, the sample app")->type_name("");
  if (name == "init") verb.add_flag("--force", into.force, "Overwrite files that are there");
  if (name == "run" || name == "doctor" || name == "plan" || name == "try") {
    verb.add_flag("--allow-wal", into.flags.allow_wal, "Consent to switch the source to WAL mode");
    verb.add_flag(
        "--allow-identity-full", into.flags.allow_identity_full,
        "Consent to REPLICA IDENTITY FULL for a Postgres source's tables without a usable identity");
    verb.add_flag("--no-backup", into.flags.no_backup,
                  "Write into a target that has rows without taking a backup of it");
    verb.add_flag("--adopt", into.flags.adopt,
                  "Write into tables that hold rows which tidegate did not write");
    verb.add_option("--jobs", into.flags.jobs, "Connections that copy a Postgres source's snapshot")
        ->type_name("")
        ->check(CLI::Range(1, 64));
  }
  if (name == "status") verb.add_flag("--watch", into.watch, "Draw again every second");
  if (name == "cutover" || name == "rollback") add_switch_flags(verb, into.cutover, raw);
  if (name == "cutover") add_cutover_flags(verb, into.cutover);
  if (name == "rollback")
    verb.add_flag("--accept-loss", into.cutover.accept_loss,
                  "Go on though rows of the target did not fit into the legacy database");
  if (name == "sync" || name == "stop" || name == "cutover" || name == "rollback")
    verb.add_option("--timeout", raw.timeout, "Seconds, or a duration like 2m (exit 5 when it passes)")
        ->type_name("");
  if (name == "throttle")
    verb.add_option("RATE", raw.rate, "Rows per second, or off")->type_name("")->required();
  if (name == "finalize") {
    auto* dry_run = verb.add_flag("--dry-run", into.dry_run, "Say what blocks it, and change nothing");
    verb.add_option("--confirm", into.confirm, "NAME of the pipeline: do it")
        ->type_name("")
        ->excludes(dry_run);
    verb.add_flag("--legacy-gone", into.legacy_gone,
                  "The old database is gone for good: clean only the target and the state directory");
  }
  if (name == "repair") verb.add_flag("--dry-run", into.dry_run, "Say what would be done, and do nothing");
  if (name == "events") {
    verb.add_flag("--follow", into.follow, "Go on as events come");
    verb.add_flag("--values", into.values, "With the rows' values; this is written to the audit");
  }
  if (name == "login-check") {
    verb.add_option("EMAIL", into.word, "Whose login is tried")->type_name("");
    verb.add_option("--sample", into.sample, "N: look at the stored form of N users' logins instead")
        ->type_name("")
        ->check(CLI::Range(1, 1'000'000'000));
  }
  if (name == "reset") {
    verb.add_flag("--target", into.empty_target, "It is the target that is emptied");
    verb.add_option("WHAT", into.word, "source: its slot and publication are dropped there")->type_name("");
    verb.add_option("--confirm", into.confirm, "NAME of the pipeline")->type_name("");
  }
  if (name == "resync") {
    auto* table = verb.add_option("TABLE", into.word, "As `status` prints it")->type_name("");
    auto* way_back = verb.add_flag("--way-back", into.way_back,
                                   "While the target is live: build the way back anew, for a rollback");
    verb.add_option("--confirm", into.confirm, "NAME of the pipeline")->type_name("")->needs(way_back);
    way_back->excludes(table);
  }
  if (name == "support-bundle")
    verb.add_option("FILE", into.word, "Where to write it (default tidegate-NAME.tar.gz)")->type_name("");
  if (name == "explain")
    verb.add_option("CODE", into.word, "As printed with a finding or error, or a runbook: lag-grows")
        ->type_name("")
        ->required();
}

void add_config_verbs(CLI::App& config) {
  for (const auto& words : config_words) add_verb(config, words);
}

void add_verify_flags(CLI::App& verify, Invocation& into, Raw& raw) {
  verify.add_option("--table", into.verify_tables, "TABLE of the source, or a pattern; may be repeated")
      ->type_name("");
  verify.add_option("--sample", into.sample, "N rows of each table instead of all")
      ->type_name("")
      ->check(CLI::Range(1, 10'000'000));
  verify.add_flag("--counts", into.counts, "Only how many rows each table has");
  verify.add_flag("--continuous", into.continuous, "Again and again at a limited rate, until `verify stop`");
  verify.add_option("--rate", raw.rate, "Rows per second at most")->type_name("");
  verify.add_option("--rest", raw.rest, "Between two rounds of --continuous (30s)")->type_name("");
  verify.add_option("--jobs", into.verify_jobs, "Tables and ranges at a time")
      ->type_name("")
      ->check(CLI::Range(1, 64));
}

void add_html_flag(CLI::App& verb, Invocation& into) {
  verb.add_option("--html", into.html, "FILE: a page for a change ticket")->type_name("");
}

void add_verify_verbs(CLI::App& verify, Invocation& into, Raw& raw) {
  add_verify_flags(verify, into, raw);
  add_html_flag(verify, into);
  for (const auto& words : verify_words) {
    CLI::App* verb = add_verb(verify, words);
    if (std::string(words.name) == "status") add_html_flag(*verb, into);
  }
}

void add_quarantine_verbs(CLI::App& quarantine, Invocation& into) {
  for (const auto& words : quarantine_words) {
    CLI::App* verb = add_verb(quarantine, words);
    const std::string name = words.name;
    if (name == "list") continue;
    CLI::Option* ids = verb->add_option("ID", into.ids, "As `quarantine list` prints them")->type_name("");
    if (name == "show")
      ids->required()->expected(1);
    else
      verb->add_flag("--all", into.all, "Every row in quarantine");
  }
}

void add_schema_verbs(CLI::App& schema, Invocation& into) {
  for (const auto& words : schema_words) {
    CLI::App* verb = add_verb(schema, words);
    if (std::string(words.name) == "make")
      verb->add_option("NAME", into.word, "What the change is: part of the file's name")
          ->type_name("")
          ->required();
  }
}

void add_backup_verbs(CLI::App& backup, Invocation& into) {
  for (const auto& words : backup_words) {
    CLI::App* verb = add_verb(backup, words);
    const std::string name = words.name;
    if (name == "create")
      verb->add_option("WHAT", into.word, "target (as without it) or source")->type_name("");
    if (name == "verify" || name == "restore")
      verb->add_option("ID", into.word, "As `backup list` prints it")
          ->type_name("")
          ->required(name == "restore");
    if (name == "create" || name == "restore")
      verb->add_option("--jobs", into.flags.jobs,
                       "Connections; restore with more than one is not one transaction")
          ->type_name("")
          ->check(CLI::Range(1, 64));
    if (name != "restore") continue;
    verb->add_option("--confirm", into.confirm, "NAME of the pipeline")->type_name("");
    verb->add_option("--to", into.to, "FILE that is not there yet, for a source's backup")->type_name("");
  }
}

void add_verbs(CLI::App& app, Invocation& into, Raw& raw) {
  for (const auto& words : verb_words) {
    CLI::App* verb = add_verb(app, words);
    add_flags_of(words.name, *verb, into, raw);
    if (std::string(words.name) == "config") add_config_verbs(*verb);
    if (std::string(words.name) == "report") add_html_flag(*verb, into);
    if (std::string(words.name) == "schema") add_schema_verbs(*verb, into);
    if (std::string(words.name) == "backup") add_backup_verbs(*verb, into);
    if (std::string(words.name) == "verify") add_verify_verbs(*verb, into, raw);
    if (std::string(words.name) == "quarantine") add_quarantine_verbs(*verb, into);
    if (std::string(words.name) == "keys") {
      for (const auto& more : keys_words) add_verb(*verb, more);
    }
    if (std::string(words.name) == "credentials") {
      for (const auto& more : credentials_words)
        add_verb(*verb, more)
            ->add_option("--out", into.out, "FILE: made new, CSV")
            ->type_name("")
            ->required();
    }
  }
}

std::unique_ptr<CLI::App> make_app(Invocation& into, Raw& raw) {
  auto app = std::make_unique<CLI::App>(
      "tidegate replicates a live SQLite database into Supabase while its app keeps running.", "tidegate");
  app->set_help_flag("-h,--help", "This text, or that of a verb");
  app->set_version_flag("--version", version_text());
  app->get_formatter()->label("SUBCOMMAND", "VERB");
  app->get_formatter()->label("OPTIONS", "FLAGS");
  app->fallthrough();
  app->allow_extras();
  app->require_subcommand(0, 1);
  app->footer(
      "Example:\n  tidegate run --source /srv/app/app.db --env-file .env\n\nExit codes: 0 done, 1 failed, 2 "
      "refused by a check, 3 differences found, 4 usage, 5 timed out.\ntidegate VERB --help says more.");
  add_common_flags(*app, into, raw);
  add_verbs(*app, into, raw);
  return app;
}

std::vector<std::string> names_below(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(verb->get_name());
  return names;
}

std::vector<std::string> flag_names(const CLI::App& root, const CLI::App& verb) {
  std::vector<std::string> names;
  for (const CLI::App* app : {&root, &verb})
    for (const CLI::Option* option : app->get_options())
      for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

const CLI::App* parsed_below(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? nullptr : parsed.front();
}

// The verbs that were typed, outermost first.
std::vector<const CLI::App*> verb_path(const CLI::App& root) {
  std::vector<const CLI::App*> path;
  for (const CLI::App* app = parsed_below(root); app; app = parsed_below(*app)) path.push_back(app);
  return path;
}

[[noreturn]] void refuse(std::string message, std::string mend) {
  throw Coded<Usage>("usage", std::move(message), std::move(mend));
}

// "did you mean 'status'? See: tidegate --help"
std::string way_out(const std::string& suggestion, const std::string& verb) {
  const std::string help = fmt::format("ee: tidegate {}--help", verb.empty() ? "" : verb + " ");
  return suggestion.empty() ? "s" + help : suggestion + " S" + help;
}

void refuse_extras(const CLI::App& root, const CLI::App& verb, const std::string& typed) {
  const auto extras = root.remaining(true);
  if (extras.empty()) return;
  const std::string& first = extras.front();
  if (first.starts_with("-")) {
    const std::string flag = first.substr(0, first.find('='));
    refuse(fmt::format("unknown flag '{}'", masked_text(flag)),
           way_out(did_you_mean(flag, flag_names(root, verb)), typed));
  }
  const auto known = names_below(verb);
  if (known.empty()) refuse(fmt::format("'{}' is one word too many", masked_text(first)), way_out("", typed));
  refuse(fmt::format("unknown verb '{}'", masked_text(first)), way_out(did_you_mean(first, known), typed));
}

std::string words_of(const std::vector<const CLI::App*>& path) {
  std::string words;
  for (const CLI::App* app : path) words += (words.empty() ? "" : " ") + app->get_name();
  return words;
}

void refuse_incomplete(const std::vector<const CLI::App*>& path) {
  if (path.empty()) refuse("no verb is given", way_out("", ""));
  const auto below = names_below(*path.back());
  const bool stands_alone = path.back()->get_name() == "verify";
  if (!below.empty() && !stands_alone)
    refuse(fmt::format("{} wants one of: {}", words_of(path), fmt::join(below, ", ")),
           way_out("", words_of(path)));
}

std::string help_for(const CLI::App& root, const std::vector<const CLI::App*>& path) {
  if (path.empty()) return root.help();
  const std::vector<const CLI::App*> above(path.begin(), path.end() - 1);
  return path.back()->help(above.empty() ? "tidegate" : "tidegate " + words_of(above));
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

void read_timeout(const Raw& raw, Invocation& into) {
  if (!raw.timeout) return;
  const auto seconds = whole_number(*raw.timeout);
  into.timeout =
      seconds && *seconds < 1'000'000'000 ? std::chrono::seconds(*seconds) : parse_duration(*raw.timeout);
  if (!into.timeout) refuse("--timeout is not a duration", "write seconds, or a duration like 500ms or 2m");
}

std::optional<std::chrono::milliseconds> duration_of(const std::optional<std::string>& text,
                                                     const char* flag) {
  if (!text) return {};
  const auto time = parse_duration(*text);
  if (!time || time->count() <= 0)
    refuse(fmt::format("{} is not a duration", flag), "write one like 500ms or 2s");
  return time;
}

void read_rate(const Raw& raw, Invocation& into) {
  if (!raw.rate || *raw.rate == "off") return;
  std::string_view text = *raw.rate;
  if (text.ends_with("/s")) text.remove_suffix(2);
  into.rate = whole_number(text);
  if (!into.rate || *into.rate == 0)
    refuse("RATE is not a number of rows per second",
           "write a whole number like 2000, or off; `tidegate pause` stops applying");
}

void read_tables(const Raw& raw, Invocation& into) {
  if (!raw.tables) return;
  std::string_view rest = *raw.tables;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    if (comma != 0) into.flags.tables.emplace_back(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
  }
  if (into.flags.tables.empty())
    refuse("--tables names no table", "write --tables a,b or a pattern like 'user*'");
}

void check_quarantine(const Invocation& invocation) {
  const bool acts = invocation.verb == "quarantine retry" || invocation.verb == "quarantine accept";
  if (acts && invocation.ids.empty() != invocation.all)
    refuse(fmt::format("{} wants ids or --all, and not both", invocation.verb),
           "`tidegate quarantine list` prints the ids");
  if (invocation.verb == "quarantine accept" && invocation.flags.reason.value_or("").empty())
    refuse("quarantine accept wants a reason", "add --reason 'why these rows may stay out'");
}

}  // namespace

std::string version_text() {
  return fmt::format("tidegate {}", program_version);
}

bool asks_for_json(int argc, const char* const* argv) {
  return std::any_of(argv, argv + argc, [](const char* word) { return std::string_view(word) == "--json"; });
}

std::variant<Invocation, Help> read_command_line(int argc, const char* const* argv) {
  Invocation invocation;
  Raw raw;
  const auto app = make_app(invocation, raw);
  try {
    app->parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Help{help_for(*app, verb_path(*app))};
  } catch (const CLI::CallForVersion&) {
    return Help{version_text() + "\n"};
  } catch (const CLI::ParseError& failure) {
    refuse(masked_text(failure.what()), way_out("", words_of(verb_path(*app))));
  }
  const auto path = verb_path(*app);
  refuse_extras(*app, path.empty() ? *app : *path.back(), words_of(path));
  refuse_incomplete(path);
  invocation.verb = words_of(path);
  read_timeout(raw, invocation);
  invocation.cutover.max_hold = duration_of(raw.max_hold, "--max-hold");
  invocation.cutover.max_lag = duration_of(raw.max_lag, "--max-lag");
  read_rate(raw, invocation);
  invocation.rest = duration_of(raw.rest, "--rest");
  read_tables(raw, invocation);
  check_quarantine(invocation);
  invocation.folder = std::filesystem::current_path();
  invocation.environment = process_environment();
  return invocation;
}

}  // namespace tidegate::cli
