#include <fmt/format.h>

#include "capture/sqlite/catalog.hpp"
#include "capture/sqlite/file_checks.hpp"
#include "replicator/config/units.hpp"
#include "replicator/doctor/doctor.hpp"
#include "replicator/doctor/hold_time.hpp"
#include "replicator/doctor/postgres_source.hpp"
#include "replicator/pipeline/daemon.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;

Finding journal_mode_finding(const Settings& settings) {
  if (settings.source.allow_wal) {
    return {Level::note,
            "wal-will-be-switched",
            "",
            "",
            "the database is not in WAL mode; it will be switched, since --allow-wal says so",
            ""};
  }
  return {Level::warn,
          "not-wal",
          "",
          "",
          "the database is not in WAL mode: reading it holds a lock of up to 100 ms, and one that takes "
          "longer to read is "
          "refused",
          "let tidegate switch it with --allow-wal; the application need not be restarted"};
}

Finding owner_finding() {
  return {Level::warn,
          "not-the-owner",
          "",
          "",
          "this user is not the owner of the database file, so -wal and -shm files that tidegate makes may "
          "not be "
          "writable for the application",
          "run tidegate as the application's user"};
}

Finding writers_finding(const Settings& settings) {
  const std::string waits = fmt::format("they are taken to wait {} for a lock ([source] busy_timeout)",
                                        exact_duration(settings.source.busy_timeout));
  if (settings.source.writers == Writers::upgrades)
    return {Level::note,
            "writers-upgrade",
            "",
            "",
            "the application's transactions are taken to read first and write later ([source] writers = "
            "\"upgrades\"); tidegate never makes its writers wait in normal running; " +
                waits,
            ""};
  return {Level::note,
          "writers-wait",
          "",
          "",
          "the application's transactions are taken to ask for the write lock at once ([source] writers = "
          "\"waits\"); " +
              waits,
          ""};
}

Finding not_carried(const capture::CatalogNote& note) {
  Level level = note.kind == "excluded table" || note.kind == "trigger" || note.kind == "view" ? Level::note
                                                                                               : Level::warn;
  std::string detail = note.detail.empty() ? "" : " (" + note.detail + ")";
  return {level,
          "not-carried",
          note.name,
          "",
          fmt::format("{} {}{} is not carried over", note.kind, note.name, detail),
          "make its counterpart in the target's own migrations, if it is needed there"};
}

std::vector<Finding> catalogue_findings(const Settings& settings) {
  sqlite::Database live(settings.source.end.path, sqlite::Database::Mode::read_write,
                        std::chrono::seconds(5));
  live.execute("PRAGMA query_only = ON; BEGIN");
  capture::CatalogNotes notes;
  capture::read_catalog(live, settings.tables.include, settings.tables.exclude, &notes);
  std::vector<Finding> findings;
  for (const auto& note : notes.not_carried) findings.push_back(not_carried(note));
  return findings;
}

}  // namespace

std::vector<Finding> examine_source(const Settings& settings, std::optional<PlannedPipeline>& planned) {
  if (settings.source.end.kind == Endpoint::Kind::postgres)
    return examine_postgres_source(settings, slot_name(settings), publication_name(settings));
  std::vector<Finding> findings;
  auto facts = capture::require_local_database(settings.source.end.path);
  findings.push_back({Level::note, "source-file", "", "",
                      fmt::format("the source is a local file of {}, in {} mode", format_size(facts.size),
                                  facts.is_wal() ? "WAL" : "rollback-journal"),
                      ""});
  if (!facts.is_wal()) findings.push_back(journal_mode_finding(settings));
  if (!facts.is_owner) findings.push_back(owner_finding());
  findings.push_back(writers_finding(settings));
  auto catalogue = catalogue_findings(settings);
  findings.insert(findings.end(), catalogue.begin(), catalogue.end());
  planned = plan_from_source(settings);
  findings.insert(findings.end(), planned->findings.begin(), planned->findings.end());
  if (!facts.is_wal()) return findings;
  const auto times = compare_times(settings, *planned);
  for (auto& finding : hold_findings(times, settings.cutover.max_hold))
    findings.push_back(std::move(finding));
  return findings;
}

}  // namespace tidegate
