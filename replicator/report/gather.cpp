#include "replicator/report/gather.hpp"

#include <algorithm>

#include "replicator/backup/folder.hpp"
#include "replicator/control/store.hpp"
#include "replicator/failure.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/server_access.hpp"
#include "replicator/version.hpp"

namespace tidegate::report {
namespace {

constexpr const char* copies_sql = R"(
SELECT table_name, status, records_migrated,
  pg_catalog.to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
  pg_catalog.to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
  extract(epoch FROM updated_at - created_at)
FROM tidegate.migration_checkpoints ORDER BY table_name COLLATE "C")";

// A target may have several pipelines, and its summary does not say whose a table is.
bool is_ours(const Status& status, std::string_view target) {
  return std::any_of(status.tables.begin(), status.tables.end(),
                     [&](const TableStatus& table) { return table.target == target; });
}

void read_copies(const Settings& settings, Migration& migration) {
  auto target = connect_target(connect_options(settings, "tidegate report"));
  if (target.run("SELECT pg_catalog.to_regclass('tidegate.migration_checkpoints')").is_null(0, 0)) return;
  auto rows = target.run(copies_sql);
  for (int i = 0; i < rows.rows(); ++i) {
    if (!is_ours(migration.status, rows.text(i, 0))) continue;
    migration.copies.push_back({std::string(rows.text(i, 0)), std::string(rows.text(i, 1)),
                                std::string(rows.text(i, 3)), std::string(rows.text(i, 4)),
                                static_cast<std::uint64_t>(rows.integer(i, 2)),
                                std::stod(std::string(rows.text(i, 5)))});
  }
}

}  // namespace

Migration gather(const Settings& settings, const std::filesystem::path& state_dir, const Status& status,
                 bool running) {
  Migration migration;
  migration.made_at = iso_now();
  migration.version = program_version;
  migration.running = running;
  migration.status = status;
  const std::string control = (state_dir / "control.db").string();
  migration.audit = ControlStore(control).audit_entries();
  migration.audit_fault = audit_fault(migration.audit, std::nullopt).value_or("");
  migration.verification = verify::Store(control).report();
  for (auto& listed : backup::backups_in(state_dir)) migration.backups.push_back(std::move(listed.manifest));
  try {
    read_copies(settings, migration);
  } catch (const std::exception& failure) {
    migration.copies_missing = "how long the first copy took: " + told(failure).message;
  }
  return migration;
}

}  // namespace tidegate::report
