// A round of the snapshot: one exported snapshot of a Postgres source, and where it stands in the stream.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "db/postgres.hpp"

namespace tidegate {

// Holds the snapshot as long as it lives: a temporary slot on a walsender connection that does nothing else.
class Round {
 public:
  // Waits for the transactions that are open in the source; a stop cancels that and throws Error
  // (Advice::retry). The slot's name is `slot` with the server process's id behind it.
  Round(const postgres::ConnectOptions& source, const std::string& slot, const std::stop_token& stop);

  // All that commits before this is in the snapshot, and nothing else.
  std::uint64_t consistent_point() const { return consistent_point_; }
  const std::string& snapshot() const { return snapshot_; }

 private:
  void create_slot(const std::string& name);

  postgres::Connection walsender_;
  std::uint64_t consistent_point_ = 0;
  std::string snapshot_;
};

}  // namespace tidegate
