// The target at one position: a snapshot that several connections share, and what stands in it about the
// pipeline.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "apply/net_changes.hpp"
#include "db/postgres.hpp"

namespace tidegate::verify {

// A connection that gets a REPEATABLE READ, READ ONLY snapshot; no row is left out by a policy.
class SnapshotConnection {
 public:
  explicit SnapshotConnection(const postgres::ConnectOptions& options);

  // Opens a snapshot of now, and exports it.
  void begin();
  // The snapshot of another connection, which must still hold it.
  void join(const std::string& exported);

  postgres::Connection& connection() { return connection_; }
  const std::string& exported() const { return exported_; }

 private:
  postgres::Connection connection_;
  std::optional<postgres::Transaction> transaction_;
  std::string exported_;
};

// Held and accepted rows, by the source's key.
struct HeldRow {
  std::string reason;
  bool on_target = false;  // an older state of it is there
};
using Held = std::unordered_map<std::string, HeldRow>;

struct TargetState {
  std::uint64_t sequence = 0;
  std::string digest;
  Plans plans;
  std::map<std::string, Held> quarantine;             // by source table
  std::map<std::string, std::uint64_t> held_nowhere;  // rows in quarantine of which the target holds none
  bool one_position = true;  // false: a table that is copied again is just coming to the others' position
};
TargetState read_state(postgres::Connection& target, const std::string& pipeline);

}  // namespace tidegate::verify
