#include "replicator/cutover/holder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "capture/sqlite/journal_mode.hpp"
#include "capture/sqlite/write_lock.hpp"
#include "db/error.hpp"
#include "db/postgres.hpp"
#include "db/sqlite.hpp"

namespace tidegate::cutover {
namespace {

using std::chrono::milliseconds;

class FileHolder : public Holder {
 public:
  explicit FileHolder(const std::string& path)
      : live_(path, sqlite::Database::Mode::read_write, milliseconds(0)) {
    live_.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0");  // the app does that
    capture::prime(live_);
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

class TablesHolder : public Holder {
 public:
  TablesHolder(const std::string& url, milliseconds max_hold)
      : server_({url, "tidegate hold", "", std::chrono::seconds(10), std::chrono::seconds(30), false}),
        max_hold_(max_hold),
        before_deadlock_(
            server_.run("SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'")
                .integer(0, 0) /
            2) {}

  // Shorter than half of what the server waits before it looks for deadlocks: else it is the application's
  // transaction that it may choose to end.
  bool lock(const std::string& sql, milliseconds wait) override {
    ends_at_ = Clock::now() + max_hold_;
    server_.run("BEGIN");
    const auto time = std::max(std::min(wait, before_deadlock_), milliseconds(1)).count();
    try {
      server_.run(
          fmt::format("SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = {0}; "
                      "SET LOCAL statement_timeout = {0}; "
                      "SET LOCAL idle_in_transaction_session_timeout = {1}",
                      time, left()));
      server_.run(sql);
      return true;
    } catch (const Error& error) {
      if (!is_busy(error)) throw;
      server_.run("ROLLBACK");
      return false;
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
