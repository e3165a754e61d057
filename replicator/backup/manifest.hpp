// What a backup says of itself. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::backup {

struct PublishedTable {
  std::string publication, table;  // the table's name as SQL writes it
  bool operator==(const PublishedTable&) const = default;
};

// Rows of a table that another role owns. All names as SQL writes them.
struct SavedRows {
  std::string table;
  std::vector<std::string> columns, key;
  bool operator==(const SavedRows&) const = default;
};

struct Manifest {
  std::string id;
  std::string of;  // "target" or "source"
  std::string pipeline;
  std::string taken_at;  // ISO 8601, UTC
  std::string by, reason;
  std::string end;        // which database; no password
  std::string made_with;  // "pg_dump 15", "SQLite"
  std::string position;   // of the pipeline in the target at that moment; empty where it knew none
  std::vector<std::string> schemas;
  std::vector<std::string> not_covered;  // tables that the pipeline writes and the backup does not have
  std::vector<PublishedTable> published;
  std::uint64_t bytes = 0;           // of the data
  std::vector<SavedRows> rows = {};  // those of the table at place i are in the file rows/i
  bool operator==(const Manifest&) const = default;
};

std::string to_json(const Manifest& manifest);
// Throws std::invalid_argument.
Manifest manifest_from_json(std::string_view text);

}  // namespace tidegate::backup
