// The way back by itself, as the cutover calls it: SOURCE PIPELINE STATE, the target's URL in
// TIDEGATE_TARGET_URL. The start is recorded in STATE/start once; then it runs until its input ends. A line
// "sync" on its input is answered by "synced", "lag" by three numbers, "rejects" by their number.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "replicator/cutover/sqlite_way_back.hpp"

namespace {

using tidegate::cutover::SqliteWayBack;
using namespace std::chrono_literals;

std::string recorded_start(SqliteWayBack& way_back, const std::filesystem::path& path) {
  std::string start;
  if (std::getline(std::ifstream(path), start) && !start.empty()) return start;
  for (const auto& finding : way_back.ready())
    std::cout << finding.code << ": " << finding.message << std::endl;
  start = way_back.record_start(SqliteWayBack::Clock::now() + 30s);
  std::ofstream(path) << start << std::endl;
  return start;
}

void answer(SqliteWayBack& way_back, const std::string& line) {
  if (line == "sync")
    std::cout << (way_back.caught_up(SqliteWayBack::Clock::now() + 30s, {}) ? "synced" : "late") << std::endl;
  if (line == "rejects") std::cout << way_back.rejects() << std::endl;
  if (line != "lag") return;
  const auto lag = way_back.lag();
  std::cout << fmt::format("{} {} {}", *lag.seconds, *lag.bytes, *lag.transactions) << std::endl;
}

int serve(char** arguments) {
  tidegate::Settings settings;
  settings.source.end.kind = tidegate::Endpoint::Kind::sqlite;
  settings.source.end.path = arguments[1];
  settings.source.writers = tidegate::Writers::waits;
  settings.pipeline = arguments[2];
  settings.target.end = tidegate::parse_endpoint(std::getenv("TIDEGATE_TARGET_URL"));
  const std::filesystem::path state = arguments[3];
  SqliteWayBack way_back(settings, state / "back.db");
  const std::string mode = std::getenv("TIDEGATE_WAY_BACK") ? std::getenv("TIDEGATE_WAY_BACK") : "";
  if (mode == "remove") return way_back.remove(), 0;
  way_back.prepare({});
  const std::string start = recorded_start(way_back, state / "start");
  if (mode == "prepare") return 0;
  std::jthread running([&](const std::stop_token& stop) {
    try {
      way_back.run(start, stop);
    } catch (const std::exception& failure) {
      std::cout << "failed: " << failure.what() << std::endl;
      std::_Exit(1);
    }
  });
  std::cout << "running" << std::endl;
  for (std::string line; std::getline(std::cin, line);) answer(way_back, line);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 4;
  try {
    return serve(arguments);
  } catch (const std::exception& failure) {
    std::cout << "failed: " << failure.what() << std::endl;
    return 1;
  }
}
