// What a Postgres source is asked and told beside the stream, on a connection and a thread of its own: a
// marker for each `sync`, a heartbeat while nothing else commits, how its slot is doing, and whether its
// tables are what they were.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "capture/postgres/watch.hpp"
#include "db/postgres.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/pipeline/coordination.hpp"
#include "replicator/pipeline/schema_watch.hpp"

namespace tidegate {

class SourceCompanion {
 public:
  SourceCompanion(const Settings& settings, Coordination& coordination, SchemaWatch& schema)
      : settings_(settings), coordination_(coordination), schema_(schema) {}

  // Until the stop. A source that is away is tried again; the capture thread reports that.
  void run(std::stop_token stop);

  // What is left of the source's patience with the slot, as time: pure. `written`: the log's end, as it was
  // seen at two times.
  struct Seen {
    std::chrono::steady_clock::time_point at;
    std::uint64_t written = 0;
  };
  static std::optional<double> time_left(const Seen& before, const Seen& now, std::uint64_t left_bytes);

  // What stands in the stream for a wish, and back: nothing for markers of other pipelines and processes.
  static std::string marker(std::uint64_t wish, const Settings& settings);
  static std::optional<std::uint64_t> wish_in(const std::string& message, const Settings& settings);

 private:
  void work();
  void mark_wish();
  void beat();
  void look_at_slot();
  void look_at_schema();
  void warn_of(const SlotStatus& slot, const capture::SourceWatch& seen);

  const Settings& settings_;
  Coordination& coordination_;
  SchemaWatch& schema_;
  std::unique_ptr<postgres::Connection> source_;
  std::deque<Seen> written_;                // the log's end, of the last minute
  bool at_risk_ = false, is_held_ = false;  // was said
  std::uint64_t marked_ = 0;                // the newest wish for which a marker was written
  std::chrono::steady_clock::time_point looked_{}, schema_seen_{}, beat_{};
};

}  // namespace tidegate
