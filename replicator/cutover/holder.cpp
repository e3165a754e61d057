#include "replicator/cutover/holder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "capture/sqlite/journal_mode.hpp"
#include "capture/sqlite/write_lock.hpp"
#include "db/error.hpp"
#include "db/postgres.hpp"
#include "db/sqlite.hpp"

namespace tidegate::cutover {
namespace {

using std::chrono::milliseconds;

// For a table while others are locked already: a short transaction's time.
constexpr milliseconds wait_behind_others{30};
// To read the file at first: somebody may be recovering its WAL, or resetting it.
constexpr milliseconds wait_at_start{1000};

class FileHolder : public Holder {
 public:
  explicit FileHolder(const std::string& path)
      : live_(path, sqlite::Database::Mode::read_write, wait_at_start) {
    live_.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0");  // the app does that
    capture::prime(live_);
    live_.execute("PRAGMA busy_timeout = 0");  // the lock is waited for in another way
  }
  bool lock(const std::string& /*sql*/, milliseconds wait) override {
    lock_ = capture::take_write_lock(live_, wait);
    return lock_ != nullptr;
  }
  void run(const std::string& sql) override { live_.execute(sql); }
  void commit() override { lock_->commit(); }

 private:
  sqlite::Database live_;
  std::unique_ptr<sqlite::Transaction> lock_;
};

// Not in time, or another waits for us who waits for him.
bool is_busy(const Error& error) {
  for (std::string_view code : {"55P03", "57014", "40P01"})
    if (error.code() == code) return true;
  return false;
}

std::vector<std::string> split_at_nul(const std::string& text) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\0', begin)) != std::string::npos; begin = end + 1)
    words.push_back(text.substr(begin, end - begin));
  words.push_back(text.substr(begin));
  return words;
}

// For the first table nobody waits for us yet, so it can be waited for; the others are taken at once or,
// where somebody has one who may be waiting for us, given up for another order. The error names the table.
constexpr const char* lock_all = R"sql(DO $tidegate$
DECLARE name text;
BEGIN
  PERFORM pg_catalog.set_config('lock_timeout', '{0}', true);
  FOREACH name IN ARRAY {2} LOOP
    BEGIN
      EXECUTE 'LOCK TABLE ' || name || ' IN SHARE ROW EXCLUSIVE MODE';
    EXCEPTION WHEN lock_not_available THEN
      RAISE EXCEPTION 'a table is held by others' USING ERRCODE = '55P03', TABLE = name;
    END;
    PERFORM pg_catalog.set_config('lock_timeout', '{1}', true);
  END LOOP;
END $tidegate$)sql";

// Who holds a table that we want may want one that we have: whatever order the application's transactions
// take their tables in, a table that was not to be had comes before those that we had by then. So the order
// of the tables becomes the application's own.
class TablesHolder : public Holder {
 public:
  TablesHolder(const std::string& url, milliseconds max_hold)
      : server_({url, "tidegate hold", "", std::chrono::seconds(10), std::chrono::seconds(30), false}),
        max_hold_(max_hold),
        before_deadlock_(
            server_.run("SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'")
                .integer(0, 0) /
            2) {}

  bool lock(const std::string& request, milliseconds wait) override {
    const auto began = Clock::now();
    ends_at_ = began + max_hold_;
    auto tables = split_at_nul(request);
    const std::string first = tables.front();
    tables.erase(tables.begin());
    while (true) {
      const auto left = std::chrono::duration_cast<milliseconds>(began + wait - Clock::now());
      if (left.count() <= 0) return false;
      const auto held_by_others = try_all(first, tables, left);
      if (!held_by_others) return true;
      const auto place = std::find(tables.begin(), tables.end(), *held_by_others);
      if (place == tables.end()) return false;
      std::rotate(tables.begin(), place, place + 1);
    }
  }
  void run(const std::string& sql) override {
    server_.run(
        fmt::format("SET LOCAL lock_timeout = {0}; SET LOCAL statement_timeout = {0}; "
                    "SET LOCAL idle_in_transaction_session_timeout = {0}",
                    left()));
    server_.run(sql);
  }
  void commit() override { postgres::commit(server_); }

 private:
  using Clock = std::chrono::steady_clock;
  milliseconds::rep left() const {
    return std::max<milliseconds::rep>(std::chrono::ceil<milliseconds>(ends_at_ - Clock::now()).count(), 1);
  }

  // The table that was not to be had, "" where it was none of them; absent: all are locked. No wait is longer
  // than half of what the server waits before it looks for deadlocks: else it is the application's
  // transaction that it may choose to end.
  std::optional<std::string> try_all(const std::string& first, const std::vector<std::string>& tables,
                                     milliseconds left_to_wait) {
    const auto longest = std::max(std::min(left_to_wait, before_deadlock_), milliseconds(1));
    server_.run("BEGIN");
    try {
      server_.run(
          fmt::format("SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = {0}; "
                      "SET LOCAL statement_timeout = {1}; "
                      "SET LOCAL idle_in_transaction_session_timeout = {1}",
                      longest.count(), left()));
      server_.run(first);
      if (!tables.empty()) server_.run(lock_sql(tables, longest));
      return std::nullopt;
    } catch (const Error& error) {
      if (!is_busy(error)) throw;
      server_.run("ROLLBACK");
      return error.table;
    }
  }

  static std::string lock_sql(const std::vector<std::string>& tables, milliseconds longest) {
    std::string names;
    for (const auto& table : tables) names += (names.empty() ? "" : ", ") + postgres::literal(table);
    return fmt::format(lock_all, longest.count(), std::min(longest, wait_behind_others).count(),
                       "ARRAY[" + names + "]");
  }

  postgres::Connection server_;
  milliseconds max_hold_, before_deadlock_;
  Clock::time_point ends_at_;
};

}  // namespace

std::unique_ptr<Holder> hold_file(const std::string& path) {
  return std::make_unique<FileHolder>(path);
}

std::unique_ptr<Holder> hold_tables(const std::string& url, milliseconds max_hold) {
  return std::make_unique<TablesHolder>(url, max_hold);
}

}  // namespace tidegate::cutover
