#include "replicator/schema/migration_files.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

#include "apply/schema/native/pg_tokens.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "replicator/schema/difference.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::schema {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t version_digits = 14;

// A moment is counted on as a time, so that a version stays one: 59 is followed by 00 of the next minute.
std::chrono::sys_seconds time_of(const std::string& version) {
  std::tm parts{};
  std::istringstream(version.substr(0, 4) + "-" + version.substr(4, 2) + "-" + version.substr(6, 2) + " " +
                     version.substr(8, 2) + ":" + version.substr(10, 2) + ":" + version.substr(12, 2)) >>
      std::get_time(&parts, "%Y-%m-%d %H:%M:%S");
  return std::chrono::sys_seconds(std::chrono::seconds(timegm(&parts)));
}

std::string version_of(std::chrono::sys_seconds time) {
  return fmt::format("{:%Y%m%d%H%M%S}", fmt::gmtime(time.time_since_epoch().count()));
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string text_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream || stream.bad())
    throw Refused("migration-not-readable", "the migration " + path.string() + " cannot be read",
                  "look at its rights");
  return text.str();
}

bool is_comment(const std::string& statement) {
  const auto pieces = native::pieces_of(statement);
  return std::all_of(pieces.begin(), pieces.end(), [](const auto& piece) { return piece.comment; });
}

}  // namespace

// Comments behind the last statement stand as one of their own.
std::vector<std::string> statements_in(const std::string& text) {
  std::vector<std::string> statements;
  std::size_t at = 0;
  std::size_t begin = text.npos;
  const auto close = [&] {
    if (begin != text.npos) statements.push_back(text.substr(begin, at - begin));
    begin = text.npos;
  };
  for (const auto& piece : native::pieces_of(text)) {
    const std::size_t place = text.find(piece.text, at);
    if (begin == text.npos) begin = place;
    at = place + piece.text.size();
    if (!piece.comment) close();
  }
  close();
  return statements;
}

std::vector<MigrationFile> migrations_in(const fs::path& folder) {
  std::vector<MigrationFile> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    const auto underscore = name.find('_');
    if (underscore == name.npos || !name.ends_with(".sql") || !all_digits(name.substr(0, underscore)))
      continue;
    files.push_back({name.substr(0, underscore), name.substr(underscore + 1, name.size() - underscore - 5),
                     entry.path()});
  }
  const auto earlier = [](const auto& a, const auto& b) { return a.version < b.version; };
  std::sort(files.begin(), files.end(), earlier);
  const auto twice = std::adjacent_find(files.begin(), files.end(),
                                        [](const auto& a, const auto& b) { return a.version == b.version; });
  if (twice != files.end())
    throw Refused("migration-version-twice",
                  "two migrations have the version " + twice->version + " in " + folder.string(),
                  "give one of them another version");
  return files;
}

std::vector<std::string> statements_of(const MigrationFile& file) {
  try {
    return statements_in(text_of(file.path));
  } catch (const std::invalid_argument& failure) {
    throw Refused("migration-not-readable",
                  fmt::format("the migration {} cannot be followed: {}", file.path.string(), failure.what()),
                  "correct it at that place");
  }
}

std::vector<std::string> next_versions(const std::vector<MigrationFile>& there, const std::string& now,
                                       std::size_t count) {
  auto time = time_of(now);
  const bool has_time = !there.empty() && there.back().version.size() == version_digits;
  if (has_time) time = std::max(time, time_of(there.back().version) + std::chrono::seconds(1));
  std::vector<std::string> versions;
  for (; versions.size() < count; time += std::chrono::seconds(1)) versions.push_back(version_of(time));
  return versions;
}

std::string version_now() {
  return version_of(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

bool is_migration_name(std::string_view name) {
  constexpr std::size_t longest = 60;
  return !name.empty() && name.size() <= longest && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string file_text(const std::string& name, const std::vector<std::string>& statements,
                      const std::map<std::string, std::string>& reverses) {
  std::string text = "-- tidegate schema make " + name + "\n";
  const auto lines = undo(statements, reverses);
  if (!lines.empty()) text += "-- To take it back (with the rows of what is dropped):\n";
  for (const auto& line : lines) text += "--   " + line + (line.starts_with("--") ? "\n" : ";\n");
  bool spaced = false;  // a statement of several lines stands apart
  for (const auto& statement : statements) {
    const bool is_long = statement.find('\n') != statement.npos;
    if (is_long || !spaced) text += "\n";
    text += statement + (is_comment(statement) ? "\n" : ";\n");
    spaced = !is_long;
  }
  return text;
}

void write_migration(const MigrationFile& file, const std::string& text) {
  fs::create_directories(file.path.parent_path());
  write_file_atomically(file.path, text);
  failpoint("schema-file-written");
  // Nothing in it is secret, and it belongs into version control.
  fs::permissions(file.path, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read |
                                 fs::perms::others_read);
}

}  // namespace tidegate::schema
