#include "replicator/cli/invocation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "replicator/failure.hpp"
#include "replicator/registry.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::cli {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> state_dirs_below(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder / ".tidegate", failure))
    if (entry.is_directory(failure)) found.push_back(entry.path());
  return found;
}

std::vector<fs::path> running_here(const Environment& environment) {
  std::vector<fs::path> found;
  for (const auto& entry : Registry(environment).entries())
    if (lock_holder(entry.state_dir)) found.push_back(entry.state_dir);
  return found;
}

[[noreturn]] void refuse_to_choose(const std::vector<fs::path>& found) {
  std::vector<std::string> names;
  for (const auto& path : found) names.push_back(path.string());
  throw Coded<Usage>("which-pipeline", fmt::format("there are several pipelines: {}", fmt::join(names, ", ")),
                     "say which with --state DIR");
}

}  // namespace

Settings settings_of(const Invocation& invocation, Purpose purpose) {
  return load(invocation.flags, invocation.environment, invocation.folder, purpose);
}

fs::path find_state_dir(const Invocation& invocation) {
  if (invocation.flags.state) return (invocation.folder / *invocation.flags.state).lexically_normal();
  const Settings settings = settings_of(invocation, Purpose::find);
  if (!settings.state_dir.empty()) return settings.state_dir;
  auto found = state_dirs_below(invocation.folder);
  if (found.empty()) found = running_here(invocation.environment);
  if (found.size() > 1) refuse_to_choose(found);
  if (found.empty())
    throw Coded<Usage>("no-pipeline",
                       "there is no pipeline here: no tidegate.toml, no ./.tidegate, and none runs",
                       "say which with --state DIR, or start one with: tidegate run --source … --target …");
  return found.front();
}

}  // namespace tidegate::cli
