#include "replicator/backup/first_backup.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/failpoint.hpp"
#include "replicator/backup/target_backup.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"
#include "replicator/who.hpp"

namespace tidegate::backup {
namespace {

constexpr const char* fact = "first_backup";

bool is_written_already(const Settings& settings) {
  auto target = connect_target(connect_options(settings, "tidegate look"));
  if (target.run("SELECT pg_catalog.to_regclass('tidegate.pipelines')").is_null(0, 0)) return false;
  return target
      .run("SELECT EXISTS (SELECT FROM tidegate.pipelines WHERE pipeline = $1 AND phase <> 'new')",
           {settings.pipeline})
      .boolean(0, 0);
}

// What needs no backup, or the id of the one that was taken.
std::string taken(const Settings& settings, ControlStore& store, const std::string& reason,
                  std::stop_token stop) {
  if (is_written_already(settings)) return "written before";
  const auto filled = tables_with_rows(settings);
  if (filled.empty()) return "empty";
  if (settings.no_backup) {
    store.audit("run --no-backup", who_runs_this(), reason, "");
    return "declined";
  }
  log_info("the target has rows ({}{}): a backup is taken first", fmt::join(filled, ", "),
           filled.size() > 4 ? ", ..." : "");
  try {
    return create_of_target(settings, {who_runs_this(), "before the first write", 2, stop}).id;
  } catch (const Refused& refused) {
    throw Refused(refused.code(),
                  "the target has rows, and no backup of it can be taken: " + refused.message(),
                  refused.mend() + "; or go without: --no-backup");
  }
}

}  // namespace

void before_first_write(const Settings& settings, ControlStore& store, const std::string& reason,
                        std::stop_token stop) {
  if (store.fact(fact)) return;
  const std::string outcome = taken(settings, store, reason, stop);
  failpoint("backup-before-fact");
  store.set_fact(fact, outcome);
}

}  // namespace tidegate::backup
