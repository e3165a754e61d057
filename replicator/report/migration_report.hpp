// The whole of a migration on one page: what was copied and how fast, what happened when and by whom, what
// verify found, cutovers, errors. No value of a row; keys only of rows that differ. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "replicator/backup/manifest.hpp"
#include "replicator/control/audit.hpp"
#include "replicator/control/status.hpp"
#include "replicator/verify/store.hpp"

namespace tidegate::report {

// The first copy of one table, as the target noted it.
struct Copy {
  std::string table, state, began, ended;  // ISO 8601, UTC; ended: of the last chunk so far
  std::uint64_t rows = 0;
  double seconds = 0;
};

struct Migration {
  std::string made_at, version;
  bool running = false;  // the daemon answered
  Status status;
  std::vector<Copy> copies;
  std::string copies_missing;  // why there are none
  std::vector<AuditEntry> audit;
  std::string audit_fault;  // empty: its chain holds
  std::optional<verify::Report> verification;
  std::vector<backup::Manifest> backups;
};

// All tables' first copy: rows, from the first's begin to the last's end, rows per second.
struct CopyRate {
  std::uint64_t rows = 0;
  double seconds = 0;
  std::optional<std::uint64_t> rows_per_second;
};
CopyRate copy_rate(const std::vector<Copy>& copies);

std::string to_text(const Migration& migration);
std::string to_json(const Migration& migration);
std::string to_html(const Migration& migration);

}  // namespace tidegate::report
