// What every column of a live file holds, for the plan. Reads all rows once, with several threads where the
// file is in WAL mode.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "proto/table.hpp"

namespace tidegate {

struct CaptureOptions {
  std::string path;
  std::vector<std::string> include{"*"}, exclude;
  bool carry_schema_changes = true;    // false: any change of the schema pauses
  bool may_write_barrier = false;      // the app's writers wait for a short lock ([source] writers = "waits")
  std::vector<std::string> fill_last;  // what the first fill reads after all others, in this order
};

struct FilledTable {
  SourceTable source;
  TableMeasure measure;
};

// Hears the table and how many of its rows were read so far. By one thread at a time; what it throws ends the
// work.
using ReadProgress = std::function<void(const std::string& table, std::uint64_t rows)>;

// The tables are those of one read snapshot. In WAL mode what is committed while they are read is measured or
// not, as if it had come a moment later. Without WAL throws Refused where reading takes over 100 ms, or all
// of it more than 64 MiB.
std::vector<FilledTable> measure_source(const CaptureOptions& options, const ReadProgress& progress);

}  // namespace tidegate
