// Which way to read a table whose key is not its rowid in key order.
#pragma once

#include <string>

#include "capture/sqlite/shadow.hpp"

namespace tidegate {

// All live rows in key order. Where keys grow with the rowids, which a sample tells, reading along the key's
// index walks the table from its beginning to its end; else each row would be looked for by itself, and to
// sort all of them is quicker. Either gives the same rows.
std::string select_all_live(sqlite::Database& live, const ShadowTable& table);

}  // namespace tidegate
