// What was written to the legacy database past its fence while the target was live (in replica mode, or where
// somebody had dropped a trigger), as the forward stream of a Postgres source has it: rows behind the place
// where the target became live. That of a SQLite file stands still meanwhile.
#pragma once

#include <cstdint>
#include <string>

#include "db/postgres.hpp"

namespace tidegate::cutover {

struct PastFence {
  std::uint64_t transactions = 0;
  std::uint64_t first = 0;      // its position in the forward journal
  std::uint64_t looked_to = 0;  // the next look begins behind it
};

// Where the target became live; a look begins there.
PastFence nothing_past_fence(postgres::Connection& target, const std::string& pipeline);
// What has come since is added. `state_path`: state.db. Throws Error.
void look_past_fence(const std::string& state_path, PastFence& seen);

// One sentence; empty where nothing was written.
std::string in_words(const PastFence& seen);

}  // namespace tidegate::cutover
