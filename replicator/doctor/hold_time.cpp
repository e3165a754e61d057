#include "replicator/doctor/hold_time.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "replicator/config/units.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/source_scan.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::int64_t rows_of_a_sample = 20'000;
// Of reading a row here: capture reads it on both sides, and makes no copy of its values (measured on two
// busy cores: 1.0 s to compare 500,000 rows of seven columns, which take 0.8 s here).
constexpr double times_of_a_read = 1.3;

Seconds read_time(const Settings& settings, const SourceTable& table, std::uint64_t rows) {
  std::uint64_t read = 0;
  const auto began = Clock::now();
  each_source_row(settings, relation_of(table, false), rows_of_a_sample, [&](const Row&) { ++read; });
  const Seconds took = Clock::now() - began;
  return read == 0 ? Seconds(0) : took * (static_cast<double>(rows) / static_cast<double>(read));
}

std::string shown(Seconds time) {
  return format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(time));
}

}  // namespace

std::vector<CompareTime> compare_times(const Settings& settings, const PlannedPipeline& planned) {
  std::vector<CompareTime> times;
  for (std::size_t i = 0; i < planned.tables.size(); ++i) {
    const SourceTable& table = planned.tables[i];
    const auto rows = planned.measures[i].rows;
    const bool seen = !times.empty() && times.back().table == table.name;  // mapped to several tables
    if (rows == 0 || seen) continue;
    times.push_back({table.name, rows, read_time(settings, table, rows) * times_of_a_read,
                     table.without_rowid || table.rowid_name().empty()});
  }
  return times;
}

std::vector<Finding> hold_findings(const std::vector<CompareTime>& times,
                                   std::chrono::milliseconds max_hold) {
  std::vector<Finding> findings;
  Seconds all{0};
  for (const auto& time : times) {
    all += time.took;
    if (!time.whole || time.took * 2 < max_hold) continue;
    findings.push_back(
        {Level::warn, "table-too-big-for-hold", time.table, "",
         fmt::format(
             "table {} has no rowid, so that a change makes capture compare all of its {}, which "
             "takes about {}: with a max_hold of {} a cutover would be given up while the application "
             "writes to it",
             time.table, format_rows(time.rows), shown(time.took), exact_duration(max_hold)),
         "cut over while nothing writes to it, or raise [cutover] max_hold"});
  }
  if (all == Seconds(0)) return findings;
  findings.push_back(
      {Level::note, "hold-compare", "", "",
       fmt::format("a compare of all rows takes about {} here: at the cutover it is made {}", shown(all),
                   all * 4 < max_hold ? "while the application's writers wait"
                                      : "just before they wait, and then only of what was written since"),
       ""});
  return findings;
}

}  // namespace tidegate
