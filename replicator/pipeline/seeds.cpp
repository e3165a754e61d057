#include "replicator/pipeline/seeds.hpp"

#include <fmt/format.h>

#include <fstream>
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

constexpr const char* make_history = R"(
CREATE TABLE IF NOT EXISTS tidegate.seeds (
  pipeline text NOT NULL,
  file text NOT NULL,       -- as tidegate.toml names it
  digest text NOT NULL,     -- SHA-256 of its text
  ran_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (pipeline, file));
REVOKE ALL ON tidegate.seeds FROM PUBLIC)";

// Digests by file; empty where there is no history yet.
std::map<std::string, std::string> history(TargetSession& session) {
  auto& target = session.connection();
  if (target.run("SELECT pg_catalog.to_regclass('tidegate.seeds')").is_null(0, 0)) return {};
  const auto rows =
      target.run("SELECT file, digest FROM tidegate.seeds WHERE pipeline = $1", {session.pipeline()});
  std::map<std::string, std::string> ran;
  for (int i = 0; i < rows.rows(); ++i) ran.emplace(rows.text(i, 0), rows.text(i, 1));
  return ran;
}

std::vector<std::string> statements_of(const SeedFile& file, const std::string& text) {
  std::vector<std::string> statements;
  try {
    statements = schema::statements_in(text);
  } catch (const std::invalid_argument& failure) {
    throw Refused("seed-not-readable",
                  fmt::format("the seed {} cannot be followed: {}", file.name, failure.what()),
                  "correct it at that place");
  }
  for (std::size_t i = 0; i < statements.size(); ++i) {
    if (schema::fits_transaction(statements[i])) continue;
    throw Refused(
        "seed-transaction",
        fmt::format("the seed {} is one transaction, and its statement {} cannot be in one or ends it",
                    file.name, i + 1),
        "leave BEGIN and COMMIT out; what must stand alone belongs into a migration");
  }
  return statements;
}

void carry_out(TargetSession& session, const SeedFile& file, const std::vector<std::string>& statements) {
  for (std::size_t i = 0; i < statements.size(); ++i) {
    try {
      if (!schema::plain_text(statements[i]).empty()) session.connection().run(statements[i]);
    } catch (const Error& error) {
      if (!session.connection().usable()) throw;
      throw Refused("seed-failed",
                    fmt::format("the seed {}, statement {} of {}: {}; nothing of the file was carried out",
                                file.name, i + 1, statements.size(), error.what()),
                    "correct it; the next start goes on with it");
    }
  }
}

void run_seed(TargetSession& session, const SeedFile& file, const std::string& text) {
  const auto statements = statements_of(file, text);
  TargetTransaction transaction(session);
  auto& target = session.connection();
  target.run(make_history);
  target.run("INSERT INTO tidegate.seeds(pipeline, file, digest) VALUES ($1, $2, $3)",
             {session.pipeline(), file.name, hex_sha256(text)});
  target.run("SET LOCAL search_path TO DEFAULT");  // the operator's own, not ours
  if (session.replica_mode()) target.run("SET LOCAL session_replication_role = origin");
  carry_out(session, file, statements);
  failpoint("seed-before-commit");
  transaction.commit();
  failpoint("seed-after-commit");
  log_info("seed {} was carried out: {} statements", file.name, statements.size());
}

std::string text_of(const SeedFile& file) {
  std::ifstream stream(file.path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream)
    throw Refused("seed-not-readable", "the seed " + file.path.string() + " cannot be read",
                  "bring the file back, or take it out of [target] seed");
  return text.str();
}

}  // namespace

void run_seeds(TargetSession& session, const std::vector<SeedFile>& files) {
  if (files.empty()) return;
  const auto ran = history(session);
  for (const SeedFile& file : files)
    if (!ran.contains(file.name)) run_seed(session, file, text_of(file));
}

std::vector<Finding> seeds_out_of_step(TargetSession& session, const std::vector<SeedFile>& files) {
  std::vector<Finding> findings;
  if (files.empty()) return findings;
  const auto ran = history(session);
  for (const SeedFile& file : files) {
    const auto known = ran.find(file.name);
    if (known == ran.end())
      findings.push_back(
          {Finding::Level::warn, "seed-not-run", "", "",
           "the seed " + file.name + " was named after the first copy, and was not carried out",
           "make a migration of it"});
    else if (std::filesystem::exists(file.path) && hex_sha256(text_of(file)) != known->second)
      findings.push_back({Finding::Level::warn, "seed-changed", "", "",
                          "the seed " + file.name + " was changed since it was carried out, and is not again",
                          "make a migration of the change"});
  }
  return findings;
}

}  // namespace tidegate
