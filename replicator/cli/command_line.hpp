// From argv to an Invocation. Knows every word and flag; runs nothing.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "replicator/cli/invocation.hpp"

namespace tidegate::cli {

struct Help {  // --help or --version was asked for
  std::string text;
};

// Common flags may stand before and after the verb. Throws Usage for what is not known (with the nearest
// word, and never repeating a secret) and Refused for a verb of a later release.
std::variant<Invocation, Help> read_command_line(int argc, const char* const* argv);

// Was --json given? Asked when reading the line failed.
bool asks_for_json(int argc, const char* const* argv);

std::string version_text();

}  // namespace tidegate::cli
