#include "replicator/backup/target_backup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "apply/plan.hpp"
#include "apply/postgres/replica_mode.hpp"
#include "apply/postgres/target_tables.hpp"
#include "capture/postgres/pg_dump.hpp"
#include "db/failpoint.hpp"
#include "replicator/backup/rows_of_others.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/scratch_folder.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::backup {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Schemas in which we may make tables again.
constexpr const char* schemas_sql = R"(
SELECT n.nspname FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND pg_catalog.has_schema_privilege(n.oid, 'CREATE')
ORDER BY n.nspname COLLATE "C")";

// Tables of those schemas; `ours`: we own them, so that they can be dropped and made again.
constexpr const char* tables_sql = R"(
SELECT n.nspname, c.relname, pg_catalog.pg_has_role(c.relowner, 'MEMBER') AS ours
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND pg_catalog.has_schema_privilege(n.oid, 'CREATE')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2)";

struct Table {
  std::string schema, name;
  bool ours = false;
  std::string written() const { return tidegate::quoted(schema) + "." + tidegate::quoted(name); }
};

std::vector<Table> read_tables(postgres::Connection& target) {
  auto rows = target.run(tables_sql);
  std::vector<Table> tables;
  for (int i = 0; i < rows.rows(); ++i)
    tables.push_back({std::string(rows.text(i, 0)), std::string(rows.text(i, 1)), rows.boolean(i, 2)});
  return tables;
}

bool knows_us(postgres::Connection& target) {
  return !target.run("SELECT pg_catalog.to_regclass('tidegate.pipelines')").is_null(0, 0);
}

std::string read_position(postgres::Connection& target, const std::string& pipeline) {
  if (!knows_us(target)) return "";
  auto row =
      target.run("SELECT sequence, digest, phase FROM tidegate.pipelines WHERE pipeline = $1", {pipeline});
  if (row.rows() == 0) return "";
  const std::string digest = row.text(0, 1).empty() ? "" : fmt::format(", digest {}", row.text(0, 1));
  return fmt::format("sequence {}{}, phase {}", row.text(0, 0), digest, row.text(0, 2));
}

std::vector<PublishedTable> read_published(postgres::Connection& target) {
  auto rows = target.run(
      "SELECT p.pubname, pg_catalog.format('%I.%I', t.schemaname, t.tablename) FROM "
      "pg_catalog.pg_publication p "
      "JOIN pg_catalog.pg_publication_tables t USING (pubname) WHERE NOT p.puballtables ORDER BY 1, 2");
  std::vector<PublishedTable> published;
  for (int i = 0; i < rows.rows(); ++i)
    published.push_back({std::string(rows.text(i, 0)), std::string(rows.text(i, 1))});
  return published;
}

// Of all that the pipeline writes, what is not among the tables that are ours.
std::vector<std::string> not_covered(postgres::Connection& target, const Settings& settings,
                                     const std::vector<Table>& tables) {
  std::set<std::string> covered, missing;
  for (const Table& table : tables) {
    if (table.ours) covered.insert(table.schema + "." + table.name);
  }
  if (knows_us(target)) {
    for (const auto& plan : recorded_plans(target, settings.pipeline))
      missing.insert(plan.schema + "." + plan.target);
  }
  for (const auto& map : settings.maps) {
    for (const auto& to : map.to) missing.insert(to.schema + "." + to.table);
  }
  for (const auto& name : covered) missing.erase(name);
  return {missing.begin(), missing.end()};
}

fs::path rows_file(const fs::path& folder, std::size_t place) {
  return folder / std::to_string(place);
}

// Of the tables that are not covered those whose rows our role may put back; the others stay named.
void save_rows_of_others(postgres::Connection& target, Manifest& manifest, const Draft& draft) {
  std::vector<std::string> left;
  for (const auto& name : manifest.not_covered) {
    const auto dot = name.find('.');
    const auto rows = rows_to_save(target, name.substr(0, dot), name.substr(dot + 1));
    if (!rows) {
      left.push_back(name);
      continue;
    }
    const fs::path folder = manifest.rows.empty() ? draft.make_folder("rows") : draft.file("rows");
    save_rows(target, *rows, rows_file(folder, manifest.rows.size()));
    manifest.rows.push_back(*rows);
  }
  manifest.not_covered = std::move(left);
}

// Runs one of PostgreSQL's programs to its end; what it prints and what it says go to files of ours. Its exit
// code.
int run_tool(std::vector<std::string> arguments, const postgres::Connection& target, const fs::path& out,
             const fs::path& err, std::stop_token stop) {
  Descriptor files[2];
  const fs::path* paths[] = {&out, &err};
  Process::Start start{std::move(arguments), {}, {}, true};
  auto variables = target.environment();
  variables.insert(variables.end(), {"LC_ALL=C", "PGOPTIONS"});
  start.environment = environment_with(variables);
  for (int i = 0; i < 2; ++i) {
    files[i].number = ::open(paths[i]->c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (files[i].number < 0) throw Error("cannot write " + paths[i]->string(), "", Advice::stop);
    start.descriptors.emplace_back(files[i].number, i + 1);
  }
  Process process(std::move(start));
  for (;;) {
    if (auto code = process.wait_until(std::chrono::steady_clock::now() + 200ms)) return *code;
    if (stop.stop_requested()) throw Error("it was told to stop", "", Advice::stop);
  }
}

std::string first_line(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

std::vector<std::string> dump_arguments(const std::string& program, const std::string& snapshot,
                                        const Order& order, const fs::path& data,
                                        const std::vector<std::string>& schemas,
                                        const std::vector<Table>& tables) {
  std::vector<std::string> arguments = {program,
                                        "--format=directory",
                                        "--file=" + data.string(),
                                        fmt::format("--jobs={}", order.jobs),
                                        "--snapshot=" + snapshot,
                                        "--no-password",
                                        "--encoding=UTF8",
                                        "--lock-wait-timeout=60s",
                                        "--blobs"};
  for (const auto& schema : schemas) arguments.push_back("--schema=" + tidegate::quoted(schema));
  for (const auto& table : tables) {
    if (!table.ours) arguments.push_back("--exclude-table=" + table.written());
  }
  return arguments;
}

}  // namespace

Manifest create_of_target(const Settings& settings, const Order& order) {
  auto target = connect_target(connect_options(settings, "tidegate backup"));
  const auto program = capture::find_pg_dump(settings.source.postgres.pg_bin, target.server_version());
  const bool replica_mode = may_set_replica_mode(target);
  const Lock lock(settings.state_dir);
  Draft draft(lock, settings.state_dir, "target");
  postgres::Transaction snapshot(target, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const std::string name(target.run("SELECT pg_catalog.pg_export_snapshot()").text(0, 0));
  Manifest manifest{{},
                    "target",
                    settings.pipeline,
                    iso_now(),
                    order.by,
                    order.reason,
                    masked(settings.target.end),
                    fmt::format("pg_dump {}", program.major),
                    read_position(target, settings.pipeline),
                    {},
                    {},
                    read_published(target),
                    0};
  auto schemas = target.run(schemas_sql);
  for (int i = 0; i < schemas.rows(); ++i) manifest.schemas.emplace_back(schemas.text(i, 0));
  const auto tables = read_tables(target);
  manifest.not_covered = not_covered(target, settings, tables);
  const fs::path said = draft.file("pg_dump.log");
  const int code = run_tool(dump_arguments(program.path, name, order, draft.data(), manifest.schemas, tables),
                            target, draft.file("pg_dump.out"), said, order.stop);
  if (code != 0)
    throw Error(fmt::format("{} ended with code {}: {}", program.path, code, first_line(said)), "",
                Advice::stop);
  fs::remove(draft.file("pg_dump.out"));
  fs::remove(said);
  if (replica_mode) save_rows_of_others(target, manifest, draft);
  return draft.finish(std::move(manifest));
}

std::vector<std::string> tables_with_rows(const Settings& settings) {
  constexpr std::size_t enough = 5;
  auto target = connect_target(connect_options(settings, "tidegate look"));
  std::vector<std::string> names;
  for (const Table& table : read_tables(target)) {
    if (names.size() == enough) break;
    const bool counts = table.ours && table.schema != "tidegate" && table.schema != "supabase_migrations";
    if (counts && target.run("SELECT EXISTS (SELECT FROM " + table.written() + ")").boolean(0, 0))
      names.push_back(table.schema + "." + table.name);
  }
  return names;
}

namespace {

void refuse_other_pipelines(postgres::Connection& target, const std::string& pipeline) {
  if (!knows_us(target)) return;
  auto others = target.run("SELECT pipeline FROM tidegate.pipelines WHERE pipeline <> $1", {pipeline});
  if (others.rows() == 0) return;
  throw Refused(
      "backup-others",
      fmt::format("the target also holds pipeline {}, whose tables would be set back too", others.text(0, 0)),
      "end it first: `tidegate reset --target` with its settings");
}

// Tables that tidegate has made since: the backup does not have them, and would not drop them.
void drop_ours(postgres::Connection& target) {
  if (!knows_us(target)) return;
  auto plans = target.run("SELECT plan FROM tidegate.tables WHERE created_by_us");
  std::set<std::string> names;
  for (int i = 0; i < plans.rows(); ++i) names.insert(quoted_name(plan_from_json(plans.text(i, 0))));
  if (!names.empty()) target.run(fmt::format("DROP TABLE IF EXISTS {}", fmt::join(names, ", ")));
  target.run("DROP SCHEMA tidegate CASCADE");
}

// Before pg_restore makes the foreign keys that refer to these rows.
void make_room(postgres::Connection& target, const Listed& backup) {
  postgres::Transaction transaction(target);
  drop_ours(target);
  for (std::size_t i = 0; i < backup.manifest.rows.size(); ++i)
    put_back(target, backup.manifest.rows[i], rows_file(backup.path / "rows", i));
  transaction.commit();
}

std::set<std::string> existing_schemas(postgres::Connection& target) {
  auto rows = target.run("SELECT nspname FROM pg_catalog.pg_namespace");
  std::set<std::string> names;
  for (int i = 0; i < rows.rows(); ++i) names.emplace(rows.text(i, 0));
  return names;
}

// A line of `pg_restore --list`: "5; 2615 2200 SCHEMA - public pg_database_owner". Schemas that are there
// keep what they are, and so do default privileges, some of which are the platform's.
bool is_wanted(const std::string& line, const std::set<std::string>& there) {
  if (line.find(" DEFAULT ACL ") != line.npos) return false;
  const bool of_schema = line.find(" SCHEMA - ") != line.npos || line.find(" - SCHEMA ") != line.npos;
  if (!of_schema) return true;
  return std::none_of(there.begin(), there.end(), [&](const std::string& schema) {
    return line.find(" SCHEMA - " + schema + " ") != line.npos ||
           line.find(" - SCHEMA " + schema + " ") != line.npos;
  });
}

void filter_list(const fs::path& all, const fs::path& chosen, const std::set<std::string>& there) {
  std::ifstream in(all);
  std::ofstream out(chosen);
  for (std::string line; std::getline(in, line);) {
    if (is_wanted(line, there)) out << line << '\n';
  }
  out.flush();
  if (!out) throw Error("cannot write " + chosen.string(), "", Advice::stop);
}

void publish_again(postgres::Connection& target, const Manifest& manifest) {
  const auto now = read_published(target);
  for (const auto& one : manifest.published) {
    if (std::find(now.begin(), now.end(), one) != now.end()) continue;
    const auto exists = target.run(
        "SELECT pg_catalog.to_regclass($2) IS NOT NULL AND EXISTS (SELECT FROM pg_catalog.pg_publication "
        "WHERE pubname = $1)",
        {one.publication, one.table});
    if (exists.boolean(0, 0))
      target.run(
          fmt::format("ALTER PUBLICATION {} ADD TABLE {}", tidegate::quoted(one.publication), one.table));
  }
}

// As libpq's keyword, so that no character of the name means anything else.
std::string database_of(postgres::Connection& target) {
  std::string escaped;
  for (const char c : target.run("SELECT pg_catalog.current_database()").text(0, 0)) {
    if (c == '\'' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return "dbname='" + escaped + "'";
}

}  // namespace

void restore_target(const Settings& settings, const Listed& backup, const Order& order) {
  auto target = connect_target(connect_options(settings, "tidegate restore"));
  refuse_other_pipelines(target, settings.pipeline);
  const auto dump = capture::find_pg_dump(settings.source.postgres.pg_bin, target.server_version());
  const std::string program = (fs::path(dump.path).parent_path() / "pg_restore").string();
  const std::string data = (backup.path / "data").string();
  const Lock lock(settings.state_dir);
  const ScratchFolder scratch(backup.path.string() + ".part");  // beside the backup, not in it
  const fs::path all = scratch.path() / "all", chosen = scratch.path() / "chosen",
                 said = backup.path.string() + ".restore.log";
  if (run_tool({program, "--list", data}, target, all, said, order.stop) != 0)
    throw Refused("backup-broken", "pg_restore cannot read backup " + backup.manifest.id,
                  "what it says is in " + said.string());
  make_room(target, backup);
  failpoint("restore-dropped-ours");
  filter_list(all, chosen, existing_schemas(target));
  std::vector<std::string> arguments = {
      program,           "--dbname=" + database_of(target), "--clean", "--if-exists", "--no-password",
      "--exit-on-error", "--use-list=" + chosen.string()};
  arguments.push_back(order.jobs > 1 ? fmt::format("--jobs={}", order.jobs) : "--single-transaction");
  arguments.push_back(data);
  if (const int code = run_tool(arguments, target, scratch.path() / "out", said, order.stop); code != 0)
    throw Error(fmt::format("{} ended with code {}; what it says may quote rows, so it is in {}", program,
                            code, said.string()),
                "", Advice::stop);
  failpoint("restore-done");
  publish_again(target, backup.manifest);
  target.run("NOTIFY pgrst, 'reload schema'");
  fs::remove(said);
}

}  // namespace tidegate::backup
