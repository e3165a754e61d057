// A first look at a source: what `init` needs to write a file that fits.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tidegate::cli {

// Throws Refused unless the file is there, may be read and begins as a SQLite database (or is empty). Opens
// and closes the file: never call it in a process that has a SQLite connection to it, which would lose its
// locks.
void require_sqlite_file(const std::filesystem::path& file);
bool begins_as_sqlite(const std::filesystem::path& file);

// SQLite files directly in the folder, by name.
std::vector<std::filesystem::path> sqlite_files_in(const std::filesystem::path& folder);

// Names of the application's tables. Throws Error.
std::vector<std::string> tables_of(const std::filesystem::path& file);

}  // namespace tidegate::cli
