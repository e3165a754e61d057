// A SQLite source's backup.
#pragma once

#include "replicator/backup/target_backup.hpp"

namespace tidegate::backup {

// Throws Refused where the file cannot be read, Error.
Manifest create_of_file(const Settings& settings, const Order& order);

// Writes the file to a place where none is (0600), durably; a crash leaves none. Throws Refused, Error.
void restore_file(const Listed& backup, const std::filesystem::path& to);

}  // namespace tidegate::backup
