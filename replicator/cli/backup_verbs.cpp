// backup create, list, verify, restore. replicator/backup/README.md says what they do.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json.hpp>

#include "apply/postgres/target_fence.hpp"
#include "replicator/backup/file_backup.hpp"
#include "replicator/cli/status_now.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/config/units.hpp"
#include "replicator/control/store.hpp"
#include "replicator/cutover/permitted.hpp"
#include "replicator/failure.hpp"
#include "replicator/server_access.hpp"
#include "replicator/state_dir.hpp"
#include "replicator/who.hpp"

namespace tidegate::cli {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

backup::Order order_of(const Invocation& invocation, int jobs) {
  return {who_runs_this(),
          invocation.flags.reason.value_or(""),
          static_cast<int>(invocation.flags.jobs.value_or(static_cast<std::uint64_t>(jobs))),
          {}};
}

void note_in_audit(const Invocation& invocation, const fs::path& state_dir, const std::string& verb,
                   const std::string& id) {
  if (!fs::exists(state_dir / "control.db")) return;
  ControlStore(state_dir / "control.db")
      .audit(verb, who_runs_this(), invocation.flags.reason.value_or(""), id);
}

json::value as_json(const backup::Manifest& manifest) {
  return json::parse(to_json(manifest));
}

void print_created(const Invocation& invocation, const backup::Manifest& made) {
  if (invocation.json) return fmt::print("{}\n", to_json(made));
  fmt::print("backup {} of the {}: {}{}\n", made.id, made.of, format_size(made.bytes),
             made.position.empty() ? "" : ", at " + made.position);
  for (const auto& rows : made.rows)
    fmt::print("of {}, which is another role's, the rows are in it\n", rows.table);
  if (!made.not_covered.empty())
    fmt::print("not in it, since they are another role's: {}\n", fmt::join(made.not_covered, ", "));
}

}  // namespace

int backup_create(const Invocation& invocation) {
  const bool of_source = invocation.word == "source";
  if (!of_source && !invocation.word.empty() && invocation.word != "target")
    throw Coded<Usage>("usage", "a backup of what?", "write target, source, or nothing for the target");
  const Settings settings = settings_of(invocation, Purpose::run);
  if (of_source && settings.source.end.kind != Endpoint::Kind::sqlite)
    throw Coded<Refused>("backup-of-server", "a Postgres source is not backed up by tidegate",
                         "use its own backups, or pg_dump");
  const auto order = order_of(invocation, 2);
  const auto made =
      of_source ? backup::create_of_file(settings, order) : backup::create_of_target(settings, order);
  note_in_audit(invocation, settings.state_dir, "backup create", made.id);
  print_created(invocation, made);
  return 0;
}

int backup_list(const Invocation& invocation) {
  json::array list;
  for (const auto& listed : backup::backups_in(find_state_dir(invocation))) {
    if (invocation.json) {
      list.push_back(listed.fault.empty()
                         ? as_json(listed.manifest)
                         : json::object{{"id", listed.manifest.id}, {"fault", listed.fault}});
      continue;
    }
    const auto& manifest = listed.manifest;
    const std::string what = listed.fault.empty()
                                 ? fmt::format("{:<6}  {:>9}  {}  {}", manifest.of,
                                               format_size(manifest.bytes), manifest.end, manifest.position)
                                 : listed.fault;
    fmt::print("{:<28}  {}\n", manifest.id, what);
  }
  if (invocation.json) fmt::print("{}\n", json::serialize(list));
  return 0;
}

namespace {

// Exit::differences where something is not as it was.
int verdict(const Invocation& invocation, const backup::Listed& listed) {
  const auto faults = backup::faults_of(listed.path);
  if (invocation.json) {
    fmt::print("{}\n", json::serialize(
                           json::object{{"id", listed.manifest.id}, {"faults", json::value_from(faults)}}));
  } else {
    for (const auto& fault : faults) fmt::print("{}: {}\n", listed.manifest.id, fault);
    if (faults.empty()) fmt::print("backup {} is whole\n", listed.manifest.id);
  }
  return static_cast<int>(faults.empty() ? Exit::done : Exit::differences);
}

}  // namespace

int backup_verify(const Invocation& invocation) {
  return verdict(invocation, backup::backup_named(find_state_dir(invocation), invocation.word));
}

namespace {

void require_whole(const backup::Listed& listed) {
  auto faults = backup::faults_of(listed.path);
  if (!listed.fault.empty()) faults.push_back(listed.fault);
  if (!faults.empty())
    throw Coded<Refused>("backup-broken", "backup " + listed.manifest.id + " is not whole: " + faults.front(),
                         "use another one");
}

int restore_of_file(const Invocation& invocation, const backup::Listed& listed) {
  if (invocation.to.empty())
    throw Coded<Usage>("usage", "a source's backup goes into a new file", "add --to FILE");
  const fs::path to = invocation.folder / invocation.to;
  backup::restore_file(listed, to);
  fmt::print("wrote {}\n", to.string());
  return 0;
}

void require_word(const Invocation& invocation, const Settings& settings, const backup::Listed& listed) {
  if (lock_holder(settings.state_dir))
    throw Coded<Refused>("running", "a daemon runs on " + settings.state_dir.string(),
                         "end it first: tidegate stop");
  if (const auto status = status_now(settings.state_dir))
    cutover::require_permitted("restore", status->phase);
  auto target = connect_target(connect_options(settings, "tidegate restore"));
  const bool known = !target.run("SELECT pg_catalog.to_regclass('tidegate.pipelines')").is_null(0, 0);
  if (known && ask_target(target, settings.pipeline).is_live)
    cutover::require_permitted("restore", "reversed");
  if (invocation.confirm != settings.pipeline)
    throw Coded<Refused>("not-confirmed",
                         fmt::format("this sets {} back to {}: what was written there since is gone",
                                     masked(settings.target.end), listed.manifest.taken_at),
                         "add --confirm " + settings.pipeline + " if you mean it");
}

}  // namespace

int backup_restore(const Invocation& invocation) {
  const auto listed = backup::backup_named(find_state_dir(invocation), invocation.word);
  require_whole(listed);
  if (listed.manifest.of == "source") return restore_of_file(invocation, listed);
  const Settings settings = settings_of(invocation, Purpose::run);
  require_word(invocation, settings, listed);
  note_in_audit(invocation, settings.state_dir, "backup restore", listed.manifest.id);
  backup::restore_target(settings, listed, order_of(invocation, 1));
  fmt::print("the target is as it was at {}\n", listed.manifest.taken_at);
  if (!listed.manifest.not_covered.empty())
    fmt::print("as they are now stay: {}\n", fmt::join(listed.manifest.not_covered, ", "));
  return 0;
}

}  // namespace tidegate::cli
