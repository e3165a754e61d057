#include <fmt/format.h>

#include <filesystem>

#include "replicator/config/units.hpp"
#include "replicator/doctor/doctor.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;
namespace fs = std::filesystem;

// The shadow is about as large as the database; while it is filled its write-ahead log is too.
constexpr std::uintmax_t space_factor = 3;

fs::path nearest_existing(fs::path path) {
  while (!path.empty() && !fs::exists(path)) path = path.parent_path();
  return path.empty() ? fs::path(".") : path;
}

}  // namespace

std::vector<Finding> examine_machine(const Settings& settings) {
  std::vector<Finding> findings;
  if (settings.source.end.kind != Endpoint::Kind::sqlite) return findings;
  std::error_code error;
  auto size = fs::file_size(settings.source.end.path, error);
  auto space = fs::space(nearest_existing(settings.state_dir), error);
  if (error) return findings;
  std::string text =
      fmt::format("the state directory needs about {} of disk (three times the database) and has {}",
                  format_size(size * space_factor), format_size(space.available));
  bool short_of_space = space.available < size * space_factor;
  findings.push_back({short_of_space ? Level::block : Level::note, "state-disk", "", "", text,
                      "put it on a larger file system with --state"});
  return findings;
}

}  // namespace tidegate
