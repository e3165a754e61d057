// The environment with what an --env-file adds to it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace tidegate {

struct Variable {
  std::string value;
  std::string origin;  // "environment" or ".env:3"
};
using Environment = std::map<std::string, Variable>;

Environment process_environment();

// Lines NAME=value, `export ` before them allowed; '…' is literal, "…" knows \n \" \\ \$; # begins a comment
// at the line's start or after a blank. Throws Usage naming file:line, never what stands there. Pure.
Environment parse_env_file(std::string_view text, const std::string& file_name);

// Reads the file and adds what `environment` does not have: a variable that is set beats the file.
void add_env_file(Environment& environment, const std::filesystem::path& file);

// The file's whole text. Throws Usage ("no such file", "may not be read", "is a folder", larger than 1 MiB).
std::string read_small_file(const std::filesystem::path& file, std::string_view what);

}  // namespace tidegate
