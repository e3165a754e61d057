#include "replicator/doctor/legacy_return.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apply/postgres/replica_mode.hpp"

namespace tidegate {
namespace {

constexpr const char* schema_sql = R"(
SELECT pg_catalog.to_regnamespace('tidegate') IS NOT NULL
  OR pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))";

constexpr const char* not_written_sql = R"(
SELECT o.place FROM pg_catalog.unnest($1::pg_catalog.oid[]) WITH ORDINALITY o(oid, place)
WHERE NOT (pg_catalog.has_table_privilege(o.oid, 'SELECT') AND pg_catalog.has_table_privilege(o.oid, 'INSERT')
  AND pg_catalog.has_table_privilege(o.oid, 'UPDATE') AND pg_catalog.has_table_privilege(o.oid, 'DELETE')))";

constexpr const char* always_sql = R"(
SELECT o.place, t.tgname FROM pg_catalog.unnest($1::pg_catalog.oid[]) WITH ORDINALITY o(oid, place)
JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R') AND n.nspname <> 'tidegate' ORDER BY 1, 2)";

Finding warned(std::string code, std::string message, std::string mend) {
  return {Finding::Level::warn, std::move(code), "", "", std::move(message), std::move(mend)};
}

}  // namespace

LegacyReturnFacts read_legacy_return(postgres::Connection& source,
                                     const std::vector<capture::PostgresTable>& tables) {
  std::vector<std::string> oids;
  for (const auto& table : tables) oids.push_back(std::to_string(table.oid));
  const std::string array = fmt::format("{{{}}}", fmt::join(oids, ","));
  auto name_at = [&](std::int64_t place) { return tables[static_cast<std::size_t>(place - 1)].source; };
  LegacyReturnFacts facts;
  facts.replica_mode = may_set_replica_mode(source);
  facts.may_make_schema = source.run(schema_sql).boolean(0, 0);
  auto rows = source.run(not_written_sql, {array});
  for (int i = 0; i < rows.rows(); ++i) facts.not_written.push_back(name_at(rows.integer(i, 0)));
  auto triggers = source.run(always_sql, {array});
  for (int i = 0; i < triggers.rows(); ++i)
    facts.always.push_back(name_at(triggers.integer(i, 0)) + "." + std::string(triggers.text(i, 1)));
  return facts;
}

std::vector<Finding> findings_of(const LegacyReturnFacts& facts) {
  std::vector<Finding> findings;
  if (!facts.replica_mode)
    findings.push_back(warned(
        "legacy-not-writable",
        "the source's role may not set session_replication_role: after a cutover nothing could come "
        "back past the fence and the application's triggers",
        "GRANT SET ON PARAMETER session_replication_role TO role (PostgreSQL 15 and later; before that "
        "a superuser), or cut over without a way back"));
  if (!facts.not_written.empty())
    findings.push_back(
        warned("legacy-not-writable",
               fmt::format("the source's role may not write to {}: after a cutover nothing could come back "
                           "there",
                           fmt::join(facts.not_written, ", ")),
               "GRANT SELECT, INSERT, UPDATE, DELETE ON them to it, or cut over without a way back"));
  if (!facts.may_make_schema)
    findings.push_back(
        warned("source-not-fenceable",
               "the source's role may not make a schema in its database, where a fence keeps its account: a "
               "cutover would be refused",
               "GRANT CREATE ON DATABASE name TO role, before the cutover"));
  for (const auto& trigger : facts.always)
    findings.push_back(warned("legacy-trigger-always",
                              "trigger " + trigger +
                                  " of the source fires in replica mode too: for what comes back after a "
                                  "cutover its work would be done twice",
                              "ALTER TABLE … ENABLE TRIGGER …, before the cutover; for the application that "
                              "is the same"));
  return findings;
}

}  // namespace tidegate
