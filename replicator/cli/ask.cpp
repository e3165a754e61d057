#include "replicator/cli/ask.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <iostream>

#include "capture/sqlite/file_checks.hpp"
#include "replicator/failure.hpp"

namespace tidegate::cli {

bool asked_yes(const std::string& question, std::stop_token stop) {
  fmt::print("{} [y/N] ", question);
  std::fflush(stdout);
  pollfd input{STDIN_FILENO, POLLIN, 0};
  while (poll(&input, 1, 100) == 0) {
    if (stop.stop_requested()) return fmt::print("\n"), false;
  }
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Settings settings_with_source(const Invocation& invocation) {
  Settings settings = settings_of(invocation, Purpose::find);
  if (settings.source.end.kind == Endpoint::Kind::none)
    throw Coded<Usage>(
        "no-source", "no source is named",
        "give --source /path/app.db, set TIDEGATE_SOURCE_URL, or write [source] url in tidegate.toml");
  if (settings.source.end.kind == Endpoint::Kind::sqlite)
    capture::require_local_database(settings.source.end.path);
  return settings;
}

}  // namespace tidegate::cli
