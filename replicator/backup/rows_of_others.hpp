// Rows of tables that another role owns (auth.users): our role cannot make such a table again, but may write
// its rows.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "db/postgres.hpp"
#include "replicator/backup/manifest.hpp"

namespace tidegate::backup {

// What of the table ("auth.users") is to be kept. Nothing where the role may not read all of its rows, may
// not write them, or where they have no primary key to be found by. Reads only.
std::optional<SavedRows> rows_to_save(postgres::Connection& target, const std::string& schema,
                                      const std::string& table);

// Within the caller's snapshot. Throws Error.
void save_rows(postgres::Connection& target, const SavedRows& rows, const std::filesystem::path& file);

// Within the caller's transaction, in replica mode, which it leaves on: the table's rows are those of the
// file. Rows that did not change are not touched. What hangs on rows that go (auth.sessions of a user who
// came later) goes as its ON DELETE says, unless our role owns it: that is restored by itself. Throws Error.
void put_back(postgres::Connection& target, const SavedRows& rows, const std::filesystem::path& file);

}  // namespace tidegate::backup
