// A status for eyes: the whole picture for a terminal, one line for a log. Pure.
#pragma once

#include <optional>
#include <string>

#include "replicator/control/status.hpp"

namespace tidegate {

// What two samples of one daemon say about speed.
struct Rates {
  double rows_per_second = 0;                 // copied by the snapshot
  double changes_per_second = 0;              // streamed
  std::optional<double> seconds_left;         // of the snapshot
  std::vector<double> table_rows_per_second;  // in the order of the newer sample's tables
};
// Absent where the samples are of two daemons or less than 100 ms apart.
std::optional<Rates> rates_between(const Status& before, const Status& now);

struct Look {
  int width = 80;        // columns; nothing is drawn beyond
  int table_lines = 12;  // the rest of the tables is counted in one line
  bool colour = true;
  bool unicode = true;  // bars and marks; else plain ASCII
};

// Lines, each ended by '\n'.
std::string render(const Status& status, const Look& look, const std::optional<Rates>& rates = {});

// "phase=snapshot rows=1,204/2,000 …" without '\n', for `--watch` where there is no terminal.
std::string render_line(const Status& status, const std::optional<Rates>& rates = {});

// Columns that a text takes in a terminal: escape sequences none, each UTF-8 character one.
int columns_of(const std::string& text);

}  // namespace tidegate
