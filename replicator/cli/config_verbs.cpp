#include <boost/json.hpp>

#include <fmt/format.h>

#include <algorithm>

#include "replicator/cli/command_line.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/version.hpp"

namespace tidegate::cli {

int config_check(const Invocation& invocation) {
  const Settings settings = settings_of(invocation, Purpose::run);
  if (invocation.json)
    fmt::print("{}\n", boost::json::serialize(boost::json::value{{"file", settings.file}, {"valid", true}}));
  else
    fmt::print("{} is valid: pipeline {}, {} to {}\n",
               settings.file.empty() ? "the configuration" : settings.file, settings.pipeline,
               masked(settings.source.end), masked(settings.target.end));
  return 0;
}

namespace {

void print_settings(const std::vector<Shown>& lines) {
  std::size_t names = 0, values = 0;
  for (const auto& line : lines) {
    names = std::max(names, line.name.size());
    values = std::max(values, std::min<std::size_t>(line.value.size(), 60));
  }
  for (const auto& line : lines)
    fmt::print("{:<{}} = {:<{}}  # {}\n", line.name, names, line.value, values, line.origin);
}

void print_settings_json(const std::vector<Shown>& lines) {
  boost::json::array settings;
  for (const auto& line : lines)
    settings.push_back({{"name", line.name}, {"value", line.value}, {"origin", line.origin}});
  fmt::print("{}\n", boost::json::serialize(boost::json::value{{"settings", std::move(settings)}}));
}

}  // namespace

int config_show(const Invocation& invocation) {
  const Settings settings = settings_of(invocation, Purpose::find);
  const auto lines = show(settings);
  if (invocation.json) {
    print_settings_json(lines);
    return 0;
  }
  print_settings(lines);
  return 0;
}

int version(const Invocation& invocation) {
  if (invocation.json)
    fmt::print("{}\n", boost::json::serialize(boost::json::value{{"version", program_version}}));
  else
    fmt::print("{}\n", version_text());
  return 0;
}

}  // namespace tidegate::cli
