#include "replicator/schema/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "replicator/schema/statement.hpp"

namespace tidegate::schema {
namespace {

// As the CLI makes it.
constexpr const char* make_history =
    "CREATE SCHEMA IF NOT EXISTS supabase_migrations; "
    "CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations(version text NOT NULL PRIMARY KEY); "
    "ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS statements text[], "
    "ADD COLUMN IF NOT EXISTS name text";

void record(postgres::Connection& target, const MigrationFile& file,
            const std::vector<std::string>& statements) {
  target.run(
      "INSERT INTO supabase_migrations.schema_migrations(version, statements, name) SELECT $1, "
      "pg_catalog.array_agg(statement ORDER BY place), $3 "
      "FROM pg_catalog.jsonb_array_elements_text($2) WITH ORDINALITY AS each(statement, place)",
      {file.version, boost::json::serialize(boost::json::value_from(statements)), file.name});
}

void carry_out(postgres::Connection& target, const MigrationFile& file,
               const std::vector<std::string>& statements, bool alone) {
  for (std::size_t i = 0; i < statements.size(); ++i) {
    try {
      if (!plain_text(statements[i]).empty()) target.run(statements[i]);
    } catch (const Error& error) {
      throw Error(
          fmt::format("{}, statement {} of {}: {}; {}", file.path.filename().string(), i + 1,
                      statements.size(), error.what(),
                      alone ? "the statements before it stay" : "nothing of the file was carried out"),
          error.code(), error.advice());
    }
  }
}

// The row comes first: whoever applies the same file at the same time waits for it, and is refused by the
// key.
void apply_as_one(postgres::Connection& target, const MigrationFile& file,
                  const std::vector<std::string>& statements) {
  postgres::Transaction transaction(target);
  record(target, file, statements);
  carry_out(target, file, statements, false);
  failpoint("schema-apply-before-commit");
  transaction.commit();
  failpoint("schema-apply-after-commit");
}

}  // namespace

std::vector<Applied> applied_to(postgres::Connection& target) {
  if (target.run("SELECT pg_catalog.to_regclass('supabase_migrations.schema_migrations')").is_null(0, 0))
    return {};
  auto rows = target.run(
      "SELECT version, coalesce(pg_catalog.to_jsonb(m) ->> 'name', '') FROM "
      "supabase_migrations.schema_migrations AS m "
      "ORDER BY version COLLATE \"C\"");
  std::vector<Applied> applied;
  for (int i = 0; i < rows.rows(); ++i)
    applied.push_back({std::string(rows.text(i, 0)), std::string(rows.text(i, 1))});
  return applied;
}

std::vector<Known> compared(const std::vector<MigrationFile>& files, const std::vector<Applied>& applied) {
  std::map<std::string, Known> versions;
  for (const auto& file : files) versions[file.version].file = file;
  for (const auto& one : applied) versions[one.version].applied = one;
  std::vector<Known> all;
  for (auto& [version, known] : versions) all.push_back(std::move(known));
  return all;
}

std::vector<MigrationFile> pending(const std::vector<Known>& versions) {
  std::vector<MigrationFile> files;
  for (const auto& known : versions) {
    if (!known.file)
      throw Refused("schema-history-differs",
                    "the target has had the migration " + known.applied->version + " " + known.applied->name +
                        ", which is not here",
                    "bring the file here: `supabase migration fetch` or your version control");
    if (!known.applied) {
      files.push_back(*known.file);
    } else if (!files.empty()) {
      throw Refused("schema-out-of-order",
                    "the migration " + files.front().path.filename().string() + " is older than " +
                        known.applied->version + ", which the target has had already",
                    "give it a newer version, if it may come after that one");
    }
  }
  return files;
}

void apply(postgres::Connection& target, const MigrationFile& file) {
  const auto statements = statements_of(file);
  target.run(make_history);
  target.run("RESET search_path");  // the migrations' own, not ours
  if (std::all_of(statements.begin(), statements.end(), fits_transaction))
    return apply_as_one(target, file, statements);
  carry_out(target, file, statements, true);
  failpoint("schema-apply-before-history");
  record(target, file, statements);
}

}  // namespace tidegate::schema
