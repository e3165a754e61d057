// One connection to a legacy Postgres server for all that is asked of it, from whatever thread; made when it
// is needed, and anew after a failure.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "db/error.hpp"
#include "db/postgres.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {

class SourceLook {
 public:
  explicit SourceLook(const Settings& settings) : settings_(settings) {}

  // Calls ask(connection), one at a time. Throws what it throws, and what connect_source() does. Where the
  // connection was lost since it was last used it asks once more: what is asked must bear that.
  template <typename Ask>
  auto operator()(const Ask& ask) {
    std::lock_guard one_at_a_time(mutex_);
    if (connection_) {
      try {
        return ask(*connection_);
      } catch (const Error&) {
        const bool is_lost = !connection_->usable();
        connection_.reset();
        if (!is_lost) throw;
      } catch (...) {
        connection_.reset();
        throw;
      }
    }
    auto fresh =
        std::make_unique<postgres::Connection>(connect_source(source_options(settings_, "tidegate look")));
    fresh->run("SET lock_timeout = '1s'");
    connection_ = std::move(fresh);
    try {
      return ask(*connection_);
    } catch (...) {
      connection_.reset();
      throw;
    }
  }

 private:
  const Settings& settings_;
  std::mutex mutex_;
  std::unique_ptr<postgres::Connection> connection_;
};

}  // namespace tidegate::cutover
