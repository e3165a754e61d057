// Runs of verify in control.db: what was asked, which units are done, what they found. Each call is one
// transaction; a crash leaves the units that were finished. Usable from any thread; several processes may
// read.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "db/sqlite.hpp"
#include "replicator/verify/prover.hpp"

namespace tidegate::verify {

// What was compared, as a report names it: no password.
struct Ends {
  std::string pipeline, source, target;
};

struct Run {
  std::int64_t id = 0;
  std::string started_at, ended_at, by;  // ISO 8601, UTC; ended_at empty while it goes on
  std::string state;                     // running, completed, stopped, failed
  std::string error;                     // why it failed
  Request request;
  bool planned = false;  // its units are recorded
  Ends ends;
};

struct Progress {
  std::uint64_t units = 0, units_done = 0, rows = 0, rows_expected = 0, differences = 0;
};

struct TableResult {
  std::string source, target;
  bool done = false;
  std::uint64_t rows = 0, differences = 0, excepted = 0;
  std::optional<std::uint64_t> target_rows;
};

struct Report {
  Run run;
  std::vector<std::string> positions;  // at which both ends were looked at
  std::vector<TableResult> tables;
  std::vector<Difference> differences;  // the first so many of each unit
  std::vector<Excepted> excepted;
  std::vector<Remark> remarks;
  std::uint64_t rows = 0, differing = 0, excepted_rows = 0;

  bool is_equal() const;  // it is through, and nothing differs
};

class Store {
 public:
  explicit Store(const std::string& control_path);

  Run begin(const Request& request, const std::string& by, const Ends& ends);
  std::optional<Run> newest();
  void plan(std::int64_t run, const std::vector<Unit>& units, const std::vector<Remark>& remarks = {});
  std::vector<Unit> pending(std::int64_t run);
  void finish(std::int64_t run, const Unit& unit, const std::string& position, const Findings& findings);
  void end(std::int64_t run, const std::string& state, const std::string& error);

  // Before a run of all rows of all tables looks at the target: all that the way back's journal holds up to
  // here was committed there.
  struct WayBackPlace {
    std::string incarnation;
    std::uint64_t sequence = 0;
  };
  void note_way_back(std::int64_t run, const WayBackPlace& place);
  // Of the newest such run that came through and found nothing, in no table: what was written up to there has
  // changed no row.
  std::optional<WayBackPlace> proven_way_back();

  Progress progress(std::int64_t run);
  // The newest run with differences named up to `most`.
  std::optional<Report> report(std::size_t most = most_named);
  // The keys of rows that differ between the source and the target, by source table.
  std::vector<Difference> differences(std::int64_t run, std::size_t most);

 private:
  std::mutex mutex_;
  sqlite::Database database_;
};

}  // namespace tidegate::verify
