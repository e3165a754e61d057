// How long the first copy will take, measured before anything is written.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "replicator/pipeline/planning.hpp"

namespace tidegate {

struct Estimate {
  std::uint64_t sampled_rows = 0;  // of the largest tables
  std::uint64_t bytes = 0;         // of all rows, as COPY's text
  std::chrono::duration<double> copy{0};
  double rows_per_second = 0;
};

// Some rows of the largest tables are read, encoded and copied into a temporary table of the target, whose
// transaction is rolled back. Absent where that cannot be tried: no target, one that is away or does not let
// us make temporary tables, or no rows. One stream after the other, without indexes; each map's output counts
// by itself, with what its expressions take.
std::optional<Estimate> estimate_copy(const Settings& settings, const PlannedPipeline& planned);

}  // namespace tidegate
