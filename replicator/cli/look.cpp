#include "replicator/cli/look.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "db/sqlite.hpp"
#include "replicator/failure.hpp"

namespace tidegate::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view magic("SQLite format 3\0", 16);

[[noreturn]] void refuse(const char* code, const fs::path& file, std::string_view why,
                         std::string mend = {}) {
  const std::string message = fmt::format("the source {} {}", file.string(), why);
  if (std::string_view(code) == "source-not-readable") throw Coded<Refused>(code, message, std::move(mend));
  throw Coded<Usage>(code, message, std::move(mend));
}

}  // namespace

bool begins_as_sqlite(const fs::path& file) {
  std::array<char, magic.size()> head{};
  std::ifstream stream(file, std::ios::binary);
  stream.read(head.data(), head.size());
  return stream && std::string_view(head.data(), head.size()) == magic;
}

void require_sqlite_file(const fs::path& file) {
  std::error_code failure;
  const auto status = fs::status(file, failure);
  if (status.type() == fs::file_type::not_found)
    refuse("no-such-source", file, "does not exist", "check the path");
  if (failure)
    refuse("source-not-readable", file, fmt::format("cannot be looked at ({})", failure.message()));
  if (fs::is_directory(status))
    refuse("source-not-a-file", file, "is a folder", "name the SQLite file in it");
  if (!std::ifstream(file, std::ios::binary))
    refuse("source-not-readable", file, fmt::format("cannot be read ({})", std::strerror(errno)),
           "run tidegate as a user who may read it, and write to its folder");
  if (fs::file_size(file, failure) != 0 && !begins_as_sqlite(file))
    refuse("source-not-sqlite", file, "is not a SQLite database, or is encrypted", "check the path");
}

std::vector<fs::path> sqlite_files_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder, failure))
    if (entry.is_regular_file(failure) && begins_as_sqlite(entry.path())) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> tables_of(const fs::path& file) {
  sqlite::Database database(file.string(), sqlite::Database::Mode::read_only, std::chrono::seconds(1));
  auto statement = database.prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER "
      "BY name");
  std::vector<std::string> names;
  while (statement.step()) names.push_back(statement.text(0));
  return names;
}

}  // namespace tidegate::cli
