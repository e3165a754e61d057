#include "db/sqlite_backup.hpp"

#include <sqlite3.h>

#include <optional>
#include <thread>

#include "db/error.hpp"

namespace tidegate::sqlite {
namespace {

using namespace std::chrono_literals;

constexpr int pages_at_a_time = 64;  // 256 KiB of usual pages: a read lock of a millisecond
constexpr auto between = 1ms;        // for writers, where each step holds a lock

struct Finish {
  void operator()(sqlite3_backup* copy) const { sqlite3_backup_finish(copy); }
};

[[noreturn]] void fail(const Database& from, const std::string& why, Advice advice = Advice::stop) {
  throw Error("copy " + from.path() + ": " + why, "", advice);
}

bool goes_on(int result) {
  return result == SQLITE_OK || result == SQLITE_BUSY || result == SQLITE_LOCKED;
}

}  // namespace

void copy_database(Database& from, const std::string& to, std::chrono::milliseconds longest,
                   std::stop_token stop) {
  const auto end = std::chrono::steady_clock::now() + longest;
  const bool is_wal = from.text("PRAGMA journal_mode") == "wal";
  std::optional<Transaction> snapshot;
  if (is_wal) snapshot.emplace(from), from.integer("SELECT count(*) FROM sqlite_schema");  // now it has begun
  Database copy(to, Database::Mode::create, 1s);
  std::unique_ptr<sqlite3_backup, Finish> steps(
      sqlite3_backup_init(copy.handle(), "main", from.handle(), "main"));
  if (!steps) fail(from, sqlite3_errmsg(copy.handle()));
  int result = SQLITE_OK;
  while (goes_on(result = sqlite3_backup_step(steps.get(), pages_at_a_time))) {
    if (stop.stop_requested()) fail(from, "it was told to stop");
    if (!is_wal && std::chrono::steady_clock::now() >= end)
      fail(from, "others write to it all the time; in WAL mode they would not be in the way", Advice::retry);
    if (!is_wal || result != SQLITE_OK) std::this_thread::sleep_for(between);
  }
  if (result != SQLITE_DONE) fail(from, sqlite3_errstr(result));
  if (sqlite3_backup_finish(steps.release()) != SQLITE_OK) fail(from, sqlite3_errmsg(copy.handle()));
  copy.text("PRAGMA journal_mode = DELETE");
}

}  // namespace tidegate::sqlite
