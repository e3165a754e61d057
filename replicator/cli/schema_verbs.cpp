// schema make, list, apply, diff: the target's DDL as migration files. replicator/schema/README.md says how.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "apply/mapping/target_draft.hpp"
#include "capture/postgres/foreign_keys.hpp"
#include "replicator/cli/ask.hpp"
#include "replicator/cli/plan_text.hpp"
#include "replicator/cli/status_now.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/control/store.hpp"
#include "replicator/cutover/permitted.hpp"
#include "replicator/failure.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/schema/difference.hpp"
#include "replicator/schema/history.hpp"
#include "replicator/schema/target_drift.hpp"
#include "replicator/server_access.hpp"
#include "replicator/who.hpp"

namespace tidegate::cli {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

fs::path folder_of(const Invocation& invocation, const Settings& settings) {
  const fs::path file = invocation.folder / settings.file;
  return (settings.file.empty() ? invocation.folder : file.parent_path()) / "supabase" / "migrations";
}

schema::Difference new_of(const std::vector<schema::MigrationFile>& files, const PlannedPipeline& planned) {
  std::vector<std::string> made;
  for (const auto& file : files) {
    for (auto& statement : schema::statements_of(file)) made.push_back(std::move(statement));
  }
  return schema::difference(made, planned.ddl);
}

void append(std::vector<std::string>& into, std::vector<std::string> more) {
  into.insert(into.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// A server's tables are described without them, since its own dump carries them over.
std::vector<SourceTable> with_foreign_keys(std::vector<SourceTable> tables, const Settings& settings) {
  auto source = connect_source(source_options(settings, "tidegate schema"));
  for (const auto& [child, key] : capture::read_foreign_keys(source)) {
    for (SourceTable& each : tables)
      if (each.name == child) each.foreign_keys.push_back(key);
  }
  return tables;
}

// A run makes no table that a map fills; here they are drafted.
void add_drafts(PlannedPipeline& planned, const Settings& settings) {
  if (settings.maps.empty()) return;
  const bool printed = settings.source.end.kind == Endpoint::Kind::postgres;
  const auto tables = printed ? with_foreign_keys(planned.tables, settings) : planned.tables;
  std::vector<MeasuredTable> sources;
  for (std::size_t i = 0; i < tables.size(); ++i) sources.push_back({tables[i], planned.measures[i]});
  Ddl drafts = draft_tables(maps_of(settings), sources, plan_options(settings), printed);
  append(planned.ddl.before_load, std::move(drafts.before_load));
  for (auto& object : drafts.after_load) planned.ddl.after_load.push_back(std::move(object));
}

PlannedPipeline planned_for(const Settings& settings) {
  PlannedPipeline planned = plan_from_source(settings);
  refuse_blocking(planned.findings);
  add_drafts(planned, settings);
  return planned;
}

// The first has the name itself; the others are told apart.
std::vector<schema::MigrationFile> new_files(const fs::path& folder,
                                             const std::vector<schema::MigrationFile>& there,
                                             const std::string& name, std::size_t count) {
  std::vector<schema::MigrationFile> files;
  const auto versions = schema::next_versions(there, schema::version_now(), count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string own = i == 0 ? name : fmt::format("{}_{}", name, i + 1);
    files.push_back({versions[i], own, folder / fmt::format("{}_{}.sql", versions[i], own)});
  }
  return files;
}

void print_made(const Invocation& invocation, const std::vector<schema::MigrationFile>& files,
                const std::vector<Finding>& findings) {
  json::array paths;
  for (const auto& file : files) paths.push_back(json::string(file.path.string()));
  if (invocation.json) {
    fmt::print("{}\n",
               json::serialize(json::object{{"files", paths}, {"findings", findings_json(findings)}}));
    return;
  }
  for (const auto& file : files) fmt::print("wrote {}\n", file.path.string());
  if (files.empty()) fmt::print("nothing to write: the migrations make all that the plan asks for\n");
  fmt::print("{}", findings_text(findings));
  if (!files.empty())
    fmt::print(
        "next: read them, set schema = \"existing\" under [target], then `tidegate schema apply` or "
        "`supabase db push`\n");
}

}  // namespace

int schema_make(const Invocation& invocation) {
  if (!schema::is_migration_name(invocation.word))
    throw Coded<Usage>("usage", "NAME becomes part of a file's name", "use at most 60 of a-z, 0-9 and _");
  const Settings settings = settings_with_source(invocation);
  const fs::path folder = folder_of(invocation, settings);
  const auto there = schema::migrations_in(folder);
  const auto planned = planned_for(settings);
  auto difference = new_of(there, planned);
  const auto files = new_files(folder, there, invocation.word, difference.files.size());
  for (std::size_t i = 0; i < files.size(); ++i)
    schema::write_migration(files[i],
                            schema::file_text(files[i].name, difference.files[i], difference.reverses));
  auto findings = planned.findings;
  findings.insert(findings.end(), difference.findings.begin(), difference.findings.end());
  print_made(invocation, files, findings);
  return 0;
}

namespace {

postgres::Connection target_of(const Settings& settings) {
  if (settings.target.end.kind != Endpoint::Kind::postgres)
    throw Coded<Usage>("no-target", "no target is named",
                       "set TIDEGATE_TARGET_URL, or write [target] url in tidegate.toml");
  return connect_target(connect_options(settings, "tidegate schema"));
}

const schema::MigrationFile* file_of(const schema::Known& known) {
  return known.file ? &*known.file : nullptr;
}

std::string version_of(const schema::Known& known) {
  return known.file ? known.file->version : known.applied->version;
}
std::string name_of(const schema::Known& known) {
  return known.file ? known.file->name : known.applied->name;
}

std::vector<schema::Known> versions_of(const Invocation& invocation, const Settings& settings,
                                       postgres::Connection& target) {
  return schema::compared(schema::migrations_in(folder_of(invocation, settings)), schema::applied_to(target));
}

}  // namespace

int schema_list(const Invocation& invocation) {
  const Settings settings = settings_of(invocation, Purpose::find);
  auto target = target_of(settings);
  json::array lines;
  if (!invocation.json) fmt::print("{:<14}  {:<4}  {:<6}  name\n", "version", "here", "target");
  for (const auto& known : versions_of(invocation, settings, target)) {
    const bool here = file_of(known) != nullptr, there = known.applied.has_value();
    lines.push_back(
        {{"version", version_of(known)}, {"name", name_of(known)}, {"here", here}, {"target", there}});
    if (!invocation.json)
      fmt::print("{:<14}  {:<4}  {:<6}  {}\n", version_of(known), here ? "yes" : "-", there ? "yes" : "-",
                 name_of(known));
  }
  if (invocation.json) fmt::print("{}\n", json::serialize(lines));
  return 0;
}

namespace {

// The tables do not change under a cutover.
void require_quiet(const Settings& settings) {
  if (settings.state_dir.empty()) return;
  if (const auto status = status_now(settings.state_dir))
    cutover::require_permitted("schema apply", status->phase);
}

bool approved(const Invocation& invocation, const std::vector<schema::MigrationFile>& files) {
  for (const auto& file : files) fmt::print(stderr, "to carry out: {}\n", file.path.filename().string());
  if (invocation.yes) return true;
  if (!isatty(STDIN_FILENO))
    throw Coded<Usage>("needs-yes", "this changes the target's schema",
                       "add --yes, or type it in a terminal");
  return asked_yes("Go on?");
}

void note_in_audit(const Invocation& invocation, const Settings& settings,
                   const schema::MigrationFile& file) {
  const auto store = settings.state_dir / "control.db";
  if (settings.state_dir.empty() || !fs::exists(store)) return;
  ControlStore(store).audit("schema apply", who_runs_this(), invocation.flags.reason.value_or(""),
                            file.path.filename().string());
}

}  // namespace

int schema_apply(const Invocation& invocation) {
  const Settings settings = settings_of(invocation, Purpose::find);
  require_quiet(settings);
  auto target = target_of(settings);
  const auto files = schema::pending(versions_of(invocation, settings, target));
  json::array done;
  if (!files.empty() && !approved(invocation, files))
    throw Coded<Refused>("not-approved", "nothing was carried out", "");
  for (const auto& file : files) {
    schema::apply(target, file);
    note_in_audit(invocation, settings, file);
    done.push_back(json::string(file.version));
    if (!invocation.json) fmt::print("applied {}\n", file.path.filename().string());
  }
  if (invocation.json)
    fmt::print("{}\n", json::serialize(json::object{{"applied", done}}));
  else if (files.empty())
    fmt::print("nothing to apply: the target has had all of them\n");
  return 0;
}

namespace {

struct Drift {
  schema::Difference files;
  std::vector<schema::Known> versions;
  std::vector<Finding> target;
  bool any() const {
    for (const auto& known : versions) {
      if (!known.file || !known.applied) return true;
    }
    return !files.files.empty() || !files.findings.empty() || !target.empty();
  }
};

Drift drift_of(const Invocation& invocation, const Settings& settings) {
  const auto planned = planned_for(settings);
  Drift drift{new_of(schema::migrations_in(folder_of(invocation, settings)), planned), {}, {}};
  if (settings.target.end.kind != Endpoint::Kind::postgres) return drift;
  auto target = target_of(settings);
  drift.versions = versions_of(invocation, settings, target);
  drift.target = schema::target_drift(target, planned.plans);
  return drift;
}

json::object drift_json(const Drift& drift) {
  json::array statements, pending, missing;
  for (const auto& file : drift.files.files) {
    for (const auto& statement : file) statements.push_back(json::string(statement));
  }
  for (const auto& known : drift.versions) {
    if (!known.applied) pending.push_back(json::string(version_of(known)));
    if (!known.file) missing.push_back(json::string(version_of(known)));
  }
  return {{"to_make", statements},
          {"to_apply", pending},
          {"not_here", missing},
          {"changed", findings_json(drift.files.findings)},
          {"target", findings_json(drift.target)}};
}

void print_drift(const Drift& drift) {
  if (!drift.files.files.empty()) fmt::print("-- `tidegate schema make NAME` writes:\n");
  for (const auto& file : drift.files.files) {
    for (const auto& statement : file) fmt::print("{};\n", statement);
  }
  for (const auto& known : drift.versions) {
    if (!known.applied) fmt::print("the target has not had {} {}\n", version_of(known), name_of(known));
    if (!known.file)
      fmt::print("not here: {} {}, which the target has had\n", version_of(known), name_of(known));
  }
  fmt::print("{}{}", findings_text(drift.files.findings), findings_text(drift.target));
  if (!drift.any()) fmt::print("no difference\n");
}

}  // namespace

int schema_diff(const Invocation& invocation) {
  const Settings settings = settings_with_source(invocation);
  const Drift drift = drift_of(invocation, settings);
  if (invocation.json)
    fmt::print("{}\n", json::serialize(drift_json(drift)));
  else
    print_drift(drift);
  return static_cast<int>(drift.any() ? Exit::differences : Exit::done);
}

}  // namespace tidegate::cli
