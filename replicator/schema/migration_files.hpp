// The folder supabase/migrations: which files there are, and new ones.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::schema {

struct MigrationFile {
  std::string version;  // 14 digits, UTC: YYYYMMDDhhmmss
  std::string name;
  std::filesystem::path path;
};

// In order of version; other files are left out, as the Supabase CLI does. Empty where there is no such
// folder. Throws Refused where two have one version.
std::vector<MigrationFile> migrations_in(const std::filesystem::path& folder);

// A text's statements, each with the comments in front of it; comments behind the last one stand as one of
// their own. Throws std::invalid_argument where a quote or comment does not end. Pure.
std::vector<std::string> statements_in(const std::string& text);

// Its statements, each with the comments in front of it, as the CLI keeps them. Throws Refused that names the
// file where it cannot be read or followed.
std::vector<std::string> statements_of(const MigrationFile& file);

// `count` versions that follow each other and the newest of `there`, from `now` ("20260101120000") on. Pure.
std::vector<std::string> next_versions(const std::vector<MigrationFile>& there, const std::string& now,
                                       std::size_t count);
std::string version_now();

// [a-z0-9_]{1,60}: it is part of a file's name.
bool is_migration_name(std::string_view name);

// The text of a file. `reverses`: as difference() gave them. Pure.
std::string file_text(const std::string& name, const std::vector<std::string>& statements,
                      const std::map<std::string, std::string>& reverses = {});

// Makes the folder too. Durable when it returns; a crash leaves the whole file or none. Throws Error.
void write_migration(const MigrationFile& file, const std::string& text);

}  // namespace tidegate::schema
