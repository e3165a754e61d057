#include "apply/mapping/back/spooled_rows.hpp"

#include <string>

namespace tidegate {
namespace {

// In a file without a name, which is gone with the connection.
sqlite::Database empty_spool() {
  sqlite::Database spool = sqlite::Database::in_memory();
  spool.execute("ATTACH '' AS kept; PRAGMA kept.journal_mode = OFF; PRAGMA kept.synchronous = OFF");
  spool.execute("CREATE TABLE kept.rows (place INTEGER PRIMARY KEY, row BLOB NOT NULL UNIQUE)");
  return spool;
}

}  // namespace

SpooledRows::SpooledRows()
    : spool_(empty_spool()),
      add_(spool_.prepare("INSERT OR IGNORE INTO kept.rows (row) VALUES (?)")),
      has_(spool_.prepare("SELECT 1 FROM kept.rows WHERE row = ?")),
      take_(spool_.prepare("SELECT place, row FROM kept.rows WHERE place > ? ORDER BY place LIMIT ?")) {
  spool_.execute("BEGIN");  // never committed
}

void SpooledRows::add(const Row& row) {
  add_.bind_blob(1, encode(row)).run();
}

bool SpooledRows::has(const Row& row) {
  const std::string bytes = encode(row);
  const bool found = has_.bind_blob(1, bytes).step();
  has_.reset();
  return found;
}

std::vector<Row> SpooledRows::take(std::size_t most) {
  std::vector<Row> rows;
  take_.bind(1, taken_).bind(2, static_cast<std::int64_t>(most));
  while (take_.step()) {
    taken_ = take_.integer(0);
    rows.push_back(decode_row(take_.bytes(1)));
  }
  take_.reset();
  return rows;
}

}  // namespace tidegate
