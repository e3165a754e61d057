#include "capture/postgres/pg_dump.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "capture/postgres/child_process.hpp"
#include "db/error.hpp"

namespace tidegate::capture {
namespace {

namespace fs = std::filesystem;

constexpr const char* debian_root = "/usr/lib/postgresql";
constexpr std::size_t most_version = 4096;
constexpr std::size_t most_dump = 256 << 20;  // a schema of ten thousand tables takes about 20 MB

// What would end up in error messages in another language, or change the session.
const std::vector<std::string> neutral = {"LC_ALL=C", "PGOPTIONS"};

// Newest first.
std::vector<std::string> debian_folders() {
  std::vector<std::pair<int, std::string>> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(debian_root, ignored))
    found.emplace_back(std::atoi(entry.path().filename().c_str()), (entry.path() / "bin").string());
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> folders;
  for (auto& [major, folder] : found) folders.push_back(std::move(folder));
  return folders;
}

std::vector<std::string> path_folders() {
  const char* path = std::getenv("PATH");
  std::string text = path ? path : "";
  std::vector<std::string> folders;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(':', at), text.size());
    if (end > at) folders.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return folders;
}

// major 0: there is none.
PgDumpProgram program_in(const std::string& folder) {
  PgDumpProgram program{(fs::path(folder) / "pg_dump").string(), 0};
  std::error_code ignored;
  if (!fs::exists(program.path, ignored)) return program;
  const auto said = run_child({program.path, "--version"}, neutral, most_version);
  program.major = said.status == 0 ? pg_dump_major(said.out) : 0;
  return program;
}

constexpr const char* other_tables_sql = R"(
SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
  AND coalesce(pg_catalog.pg_partition_root(c.oid), c.oid) <> ALL ($1::pg_catalog.oid[]))";

// In a pattern of pg_dump's, what stands in quotes is meant literally.
std::vector<std::string> exclusions(postgres::Connection& source, const std::vector<PostgresTable>& tables) {
  std::string oids;
  for (const PostgresTable& table : tables) oids += (oids.empty() ? "" : ",") + std::to_string(table.oid);
  auto rows = source.run(other_tables_sql, {"{" + oids + "}"});
  std::vector<std::string> arguments;
  for (int i = 0; i < rows.rows(); ++i)
    arguments.push_back("--exclude-table=" + quoted_name(rows.text(i, 0), rows.text(i, 1)));
  return arguments;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

constexpr const char* extensions_sql = R"(
SELECT e.extname, x.nspname, m.name
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace x ON x.oid = e.extnamespace
LEFT JOIN (
  SELECT d.refobjid, n.nspname, coalesce(t.typname, p.proname, o.oprname, c.opcname, f.opfname, l.collname, s.dictname, g.cfgname) AS name
  FROM pg_catalog.pg_depend d
    LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.objid
    LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
    LEFT JOIN pg_catalog.pg_operator o ON d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid = d.objid
    LEFT JOIN pg_catalog.pg_opclass c ON d.classid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND c.oid = d.objid
    LEFT JOIN pg_catalog.pg_opfamily f ON d.classid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND f.oid = d.objid
    LEFT JOIN pg_catalog.pg_collation l ON d.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass AND l.oid = d.objid
    LEFT JOIN pg_catalog.pg_ts_dict s ON d.classid = 'pg_catalog.pg_ts_dict'::pg_catalog.regclass AND s.oid = d.objid
    LEFT JOIN pg_catalog.pg_ts_config g ON d.classid = 'pg_catalog.pg_ts_config'::pg_catalog.regclass AND g.oid = d.objid
    JOIN pg_catalog.pg_namespace n ON n.oid = coalesce(t.typnamespace, p.pronamespace, o.oprnamespace,
      c.opcnamespace, f.opfnamespace, l.collnamespace, s.dictnamespace, g.cfgnamespace)
  WHERE d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
) m ON m.refobjid = e.oid AND m.nspname = x.nspname
WHERE e.extname <> 'plpgsql' GROUP BY 1, 2, 3
ORDER BY e.extname COLLATE "C", m.name COLLATE "C")";

}  // namespace

int pg_dump_major(const std::string& version_output) {
  constexpr std::string_view begin = "pg_dump (PostgreSQL) ";
  return version_output.starts_with(begin) ? std::atoi(version_output.c_str() + begin.size()) : 0;
}

PgDumpProgram find_pg_dump(const std::string& bin, int server_version) {
  const int server_major = server_version / 10000;
  std::vector<std::string> folders = bin.empty() ? debian_folders() : std::vector{bin};
  if (bin.empty()) {
    for (std::string& folder : path_folders()) folders.push_back(std::move(folder));
  }
  PgDumpProgram oldest;
  for (const std::string& folder : folders) {
    PgDumpProgram program = program_in(folder);
    if (program.major >= server_major) return program;
    if (program.major > 0) oldest = std::move(program);
  }
  if (oldest.major == 0) {
    throw Refused("pg-dump-missing", "pg_dump is not here" + (bin.empty() ? "" : " in " + bin),
                  "install postgresql-client-" + std::to_string(server_major) +
                      ", or say where it is ([source] pg_bin)");
  }
  throw Refused(
      "pg-dump-too-old",
      oldest.path + " is of version " + std::to_string(oldest.major) + ", the server of version " +
          std::to_string(server_major),
      "install postgresql-client-" + std::to_string(server_major) + ", or say where it is ([source] pg_bin)");
}

std::string dump_schema(postgres::Connection& source, const std::vector<PostgresTable>& tables,
                        const PgDumpOptions& options) {
  const auto program = find_pg_dump(options.bin, source.server_version());
  std::vector<std::string> arguments = {program.path,
                                        "--schema-only",
                                        "--no-owner",
                                        "--no-privileges",
                                        "--no-security-labels",
                                        "--no-tablespaces",
                                        "--encoding=UTF8",
                                        "--no-password",
                                        "--lock-wait-timeout=20s",
                                        "--exclude-schema=\"tidegate\""};
  if (!options.snapshot.empty()) arguments.push_back("--snapshot=" + options.snapshot);
  for (std::string& one : exclusions(source, tables)) arguments.push_back(std::move(one));
  auto variables = source.environment();
  variables.insert(variables.end(), neutral.begin(), neutral.end());
  auto said = run_child(arguments, variables, most_dump);
  if (said.status != 0) {
    throw Error(
        program.path + " ended with code " + std::to_string(said.status) + ": " + first_line(said.err), "",
        Advice::stop);
  }
  return std::move(said.out);
}

std::vector<SourceExtension> read_extensions(postgres::Connection& source) {
  auto rows = source.run(extensions_sql);
  std::vector<SourceExtension> extensions;
  for (int i = 0; i < rows.rows(); ++i) {
    if (extensions.empty() || extensions.back().name != rows.text(i, 0))
      extensions.push_back({std::string(rows.text(i, 0)), std::string(rows.text(i, 1)), {}});
    if (!rows.is_null(i, 2)) extensions.back().members.emplace_back(rows.text(i, 2));
  }
  return extensions;
}

}  // namespace tidegate::capture
