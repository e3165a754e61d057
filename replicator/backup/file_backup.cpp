#include "replicator/backup/file_backup.hpp"

#include "capture/sqlite/file_checks.hpp"
#include "db/error.hpp"
#include "db/sqlite_backup.hpp"
#include "replicator/pipeline/coordination.hpp"

namespace tidegate::backup {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto longest_without_wal = 10min;
constexpr auto busy = 5s;

}  // namespace

Manifest create_of_file(const Settings& settings, const Order& order) {
  const std::string& path = settings.source.end.path;
  capture::require_local_database(path);
  const Lock lock(settings.state_dir);
  Draft draft(lock, settings.state_dir, "source");
  sqlite::Database live(path, sqlite::Database::Mode::read_write, busy);
  live.execute("PRAGMA query_only = ON");
  Manifest manifest{{},
                    "source",
                    settings.pipeline,
                    iso_now(),
                    order.by,
                    order.reason,
                    masked(settings.source.end),
                    "SQLite",
                    {},
                    {},
                    {},
                    {},
                    0};
  fs::create_directory(draft.data());
  const std::string copy = (draft.data() / "app.db").string();
  sqlite::copy_database(live, copy, longest_without_wal, order.stop);
  sqlite::Database made(copy, sqlite::Database::Mode::read_only, busy);
  if (const std::string verdict = made.text("PRAGMA quick_check(1)"); verdict != "ok")
    throw Refused("source-damaged", "the source is damaged, and so is its copy",
                  "run PRAGMA integrity_check on it");
  return draft.finish(std::move(manifest));
}

void restore_file(const Listed& backup, const fs::path& to) {
  if (fs::exists(to))
    throw Refused("file-exists", to.string() + " is there already",
                  "name a file that is not: one that is in use is never overwritten");
  sqlite::Database kept((backup.path / "data" / "app.db").string(), sqlite::Database::Mode::read_only, busy);
  const std::string part = to.string() + ".part";
  fs::remove(part);
  sqlite::copy_database(kept, part, longest_without_wal);
  fs::rename(part, to);
}

}  // namespace tidegate::backup
