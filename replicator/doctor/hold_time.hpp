// How long a cutover's compare of a SQLite source takes, against the time for which writers may wait.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "replicator/pipeline/planning.hpp"

namespace tidegate {

struct CompareTime {
  std::string table;
  std::uint64_t rows = 0;
  std::chrono::duration<double> took{0};  // of all its rows
  bool whole =
      false;  // pages do not tell which of its rows changed: any change makes all of them be compared
};

// Some rows of each table are read and timed here; the table is taken for the multiple of that.
std::vector<CompareTime> compare_times(const Settings& settings, const PlannedPipeline& planned);

// Pure.
std::vector<Finding> hold_findings(const std::vector<CompareTime>& times, std::chrono::milliseconds max_hold);

}  // namespace tidegate
