#include "replicator/pipeline/target_scripts.hpp"

#include <fmt/format.h>

#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>

#include "db/digest.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "replicator/log.hpp"
#include "replicator/schema/migration_files.hpp"
#include "replicator/schema/statement.hpp"

namespace tidegate {
namespace {

// What the two kinds have of their own.
struct Kind {
  const char *history, *word, *code;
  const char *before_commit, *after_commit;  // failpoints
  const char* too_late;                      // of a file that was not carried out
};
constexpr Kind seed{"tidegate.seeds",
                    "seed",
                    "seed",
                    "seed-before-commit",
                    "seed-after-commit",
                    "named after the first copy"};
constexpr Kind post_sql{
    "tidegate.post_sql",      "post_sql file",         "post-sql",
    "post-sql-before-commit", "post-sql-after-commit", "named when the stream ran already"};

std::string code(const Kind& kind, const char* what) {
  return std::string(kind.code) + "-" + what;
}

std::string make_history(const Kind& kind) {
  return fmt::format(R"(
CREATE TABLE IF NOT EXISTS {0} (
  pipeline text NOT NULL,
  file text NOT NULL,       -- as tidegate.toml names it
  digest text NOT NULL,     -- SHA-256 of its text
  ran_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (pipeline, file));
REVOKE ALL ON {0} FROM PUBLIC)",
                     kind.history);
}

// Digests by file; empty where there is no history yet.
std::map<std::string, std::string> history(TargetSession& session, const Kind& kind) {
  auto& target = session.connection();
  if (target.run("SELECT pg_catalog.to_regclass($1)", {kind.history}).is_null(0, 0)) return {};
  const auto rows = target.run(fmt::format("SELECT file, digest FROM {} WHERE pipeline = $1", kind.history),
                               {session.pipeline()});
  std::map<std::string, std::string> ran;
  for (int i = 0; i < rows.rows(); ++i) ran.emplace(rows.text(i, 0), rows.text(i, 1));
  return ran;
}

std::vector<std::string> statements_of(const SqlFile& file, const Kind& kind, const std::string& text) {
  std::vector<std::string> statements;
  try {
    statements = schema::statements_in(text);
  } catch (const std::invalid_argument& failure) {
    throw Refused(code(kind, "not-readable"),
                  fmt::format("the {} {} cannot be followed: {}", kind.word, file.name, failure.what()),
                  "correct it at that place");
  }
  for (std::size_t i = 0; i < statements.size(); ++i) {
    if (schema::fits_transaction(statements[i])) continue;
    throw Refused(
        code(kind, "transaction"),
        fmt::format("the {} {} is one transaction, and its statement {} cannot be in one or ends it",
                    kind.word, file.name, i + 1),
        "leave BEGIN and COMMIT out; what must stand alone belongs into a migration");
  }
  return statements;
}

void carry_out(TargetSession& session, const SqlFile& file, const Kind& kind,
               const std::vector<std::string>& statements) {
  for (std::size_t i = 0; i < statements.size(); ++i) {
    try {
      if (!schema::plain_text(statements[i]).empty()) session.connection().run(statements[i]);
    } catch (const Error& error) {
      if (!session.connection().usable()) throw;
      throw Refused(code(kind, "failed"),
                    fmt::format("the {} {}, statement {} of {}: {}; nothing of the file was carried out",
                                kind.word, file.name, i + 1, statements.size(), error.what()),
                    "correct it; the next start goes on with it");
    }
  }
}

std::string text_of(const SqlFile& file, const Kind& kind) {
  std::ifstream stream(file.path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream)
    throw Refused(code(kind, "not-readable"),
                  fmt::format("the {} {} cannot be read", kind.word, file.path.string()),
                  "bring the file back, or take it out of tidegate.toml");
  return text.str();
}

using Finish = std::function<void(const SqlFile&)>;

void run_script(TargetSession& session, const SqlFile& file, const Kind& kind, const Finish& finish) {
  const std::string text = text_of(file, kind);
  const auto statements = statements_of(file, kind, text);
  TargetTransaction transaction(session);
  auto& target = session.connection();
  target.run(make_history(kind));
  target.run(fmt::format("INSERT INTO {}(pipeline, file, digest) VALUES ($1, $2, $3)", kind.history),
             {session.pipeline(), file.name, hex_sha256(text)});
  target.run("SET LOCAL search_path TO DEFAULT");  // the operator's own, not ours
  if (session.replica_mode()) target.run("SET LOCAL session_replication_role = origin");
  carry_out(session, file, kind, statements);
  finish(file);
  failpoint(kind.before_commit);
  transaction.commit();
  failpoint(kind.after_commit);
  log_info("{} {} was carried out: {} statements", kind.word, file.name, statements.size());
}

bool run_scripts(TargetSession& session, const Kind& kind, const std::vector<SqlFile>& files,
                 const Finish& finish) {
  if (files.empty()) return false;
  const auto ran = history(session, kind);
  bool some = false;
  for (const SqlFile& file : files) {
    if (ran.contains(file.name)) continue;
    run_script(session, file, kind, finish);
    some = true;
  }
  return some;
}

std::vector<Finding> out_of_step(TargetSession& session, const Kind& kind,
                                 const std::vector<SqlFile>& files) {
  std::vector<Finding> findings;
  if (files.empty()) return findings;
  const auto ran = history(session, kind);
  for (const SqlFile& file : files) {
    const auto known = ran.find(file.name);
    if (known == ran.end())
      findings.push_back(
          {Finding::Level::warn, code(kind, "not-run"), "", "",
           fmt::format("the {} {} was {}, and was not carried out", kind.word, file.name, kind.too_late),
           "make a migration of it"});
    else if (std::filesystem::exists(file.path) && hex_sha256(text_of(file, kind)) != known->second)
      findings.push_back({Finding::Level::warn, code(kind, "changed"), "", "",
                          fmt::format("the {} {} was changed since it was carried out, and is not again",
                                      kind.word, file.name),
                          "make a migration of the change"});
  }
  return findings;
}

// Of what follows, every update and delete would find nothing.
void require_visible(postgres::Connection& target, const std::vector<TablePlan>& plans, const SqlFile& file) {
  for (const TablePlan& plan : plans) {
    auto row =
        target.run("SELECT pg_catalog.row_security_active(pg_catalog.to_regclass($1))", {quoted_name(plan)});
    if (row.is_null(0, 0) || !row.boolean(0, 0)) continue;
    throw Refused(
        "post-sql-hides-rows",
        fmt::format("the post_sql file {} makes policies of {} hold for the target's role, from whom "
                    "rows would be hidden; nothing of the file was carried out",
                    file.name, shown_name(plan)),
        "connect as a role with BYPASSRLS or as the table's owner, and leave FORCE ROW LEVEL SECURITY "
        "to a migration after the cutover");
  }
}

}  // namespace

void require_scripts(const TargetSettings& target) {
  for (const SqlFile& file : target.seeds) statements_of(file, seed, text_of(file, seed));
  for (const SqlFile& file : target.post_sql) statements_of(file, post_sql, text_of(file, post_sql));
}

bool run_seeds(TargetSession& session, const std::vector<SqlFile>& files) {
  return run_scripts(session, seed, files, [](const SqlFile&) {});
}

bool run_post_sql(TargetSession& session, const std::vector<SqlFile>& files,
                  const std::vector<TablePlan>& plans) {
  auto& target = session.connection();
  return run_scripts(session, post_sql, files, [&](const SqlFile& file) {
    require_visible(target, plans, file);
    target.run("NOTIFY pgrst, 'reload schema'");
  });
}

std::vector<Finding> seeds_out_of_step(TargetSession& session, const std::vector<SqlFile>& files) {
  return out_of_step(session, seed, files);
}

std::vector<Finding> post_sql_out_of_step(TargetSession& session, const std::vector<SqlFile>& files) {
  return out_of_step(session, post_sql, files);
}

}  // namespace tidegate
