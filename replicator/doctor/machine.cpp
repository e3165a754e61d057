#include <fmt/format.h>
#include <sys/stat.h>

#include <ctime>
#include <filesystem>

#include "replicator/config/units.hpp"
#include "replicator/cutover/hooks.hpp"
#include "replicator/doctor/doctor.hpp"
#include "replicator/doctor/volume.hpp"

namespace tidegate {
namespace {

using Level = Finding::Level;
namespace fs = std::filesystem;

// The shadow is about as large as the database; while it is filled its write-ahead log is too.
constexpr std::uintmax_t space_factor = 3;
// Of a server's changes while the target is away; the slot's limit is the other end of it.
constexpr std::uintmax_t space_for_server = 5ULL << 30;

fs::path nearest_existing(fs::path path) {
  while (!path.empty() && !fs::exists(path)) path = path.parent_path();
  return path.empty() ? fs::path(".") : path;
}

void look_at_disk(const Settings& settings, std::vector<Finding>& findings) {
  std::error_code error;
  const auto space = fs::space(nearest_existing(settings.state_dir), error);
  if (error) return;
  if (settings.source.end.kind != Endpoint::Kind::sqlite) {
    const bool little = space.available < space_for_server;
    findings.push_back(
        {little ? Level::warn : Level::note, "state-disk", "", "",
         fmt::format("the state directory has {} of disk for changes that the target has not taken yet",
                     format_size(space.available)),
         "put it on a larger file system with --state"});
    return;
  }
  const auto size = fs::file_size(settings.source.end.path, error);
  if (error) return;
  const bool short_of_space = space.available < size * space_factor;
  findings.push_back(
      {short_of_space ? Level::block : Level::note, "state-disk", "", "",
       fmt::format("the state directory needs about {} of disk (three times the database) and has {}",
                   format_size(size * space_factor), format_size(space.available)),
       "put it on a larger file system with --state"});
}

// The shadow and the journal hold rows.
void look_at_volume(const Settings& settings, std::vector<Finding>& findings) {
  struct stat facts {};
  if (stat(nearest_existing(settings.state_dir).c_str(), &facts) != 0) return;
  const auto encrypted = is_encrypted(facts.st_dev);
  if (encrypted.value_or(false)) return;
  findings.push_back(
      {encrypted ? Level::warn : Level::note, "state-not-encrypted", "", "",
       encrypted
           ? "the state directory, which holds a copy of the rows, is on a volume without disk encryption"
           : "whether the state directory, which holds a copy of the rows, is on an encrypted volume cannot "
             "be told here",
       "put it on an encrypted one (LUKS) with --state, if the rows ask for that"});
}

void look_at_time_zone(const Settings& settings, std::vector<Finding>& findings) {
  if (settings.source.end.kind != Endpoint::Kind::sqlite) return;
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  if (local.tm_gmtoff == 0) return;
  findings.push_back({Level::warn, "time-zone", "", "",
                      fmt::format("this machine's time zone is {}, and times without a zone are taken as "
                                  "UTC: if the application writes "
                                  "local time, they come {:+.1f} hours off",
                                  local.tm_zone, static_cast<double>(local.tm_gmtoff) / 3600),
                      "look at one that you know; the application's own code says what it writes"});
}

void look_at_hold(const Settings& settings, std::vector<Finding>& findings) {
  if (settings.source.end.kind != Endpoint::Kind::sqlite) return;
  if (settings.cutover.max_hold * 2 > settings.source.busy_timeout)
    findings.push_back(
        {Level::warn, "max-hold-too-long", "", "",
         fmt::format("[cutover] max_hold is {}, and the application's writers wait for {} only ([source] "
                     "busy_timeout)",
                     exact_duration(settings.cutover.max_hold), exact_duration(settings.source.busy_timeout)),
         "a max_hold of less than half of the application's busy timeout"});
}

// What blocks a cutover does not block a run.
void look_at_hooks(const Settings& settings, std::vector<Finding>& findings) {
  for (auto& finding : cutover::Hooks(settings.hooks, {}).examine()) {
    finding.level = Level::warn;
    findings.push_back(std::move(finding));
  }
}

}  // namespace

std::vector<Finding> examine_machine(const Settings& settings) {
  std::vector<Finding> findings;
  look_at_disk(settings, findings);
  look_at_volume(settings, findings);
  look_at_time_zone(settings, findings);
  look_at_hold(settings, findings);
  look_at_hooks(settings, findings);
  return findings;
}

}  // namespace tidegate
