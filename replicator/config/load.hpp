// Flags, environment and file become Settings: flags beat the environment, the environment beats the file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "replicator/config/environment.hpp"
#include "replicator/config/settings.hpp"

namespace tidegate {

// The common flags as given; absent or false: not given.
struct Flags {
  std::optional<std::string> config, state, source, target, env_file, log_format, log_level, log_file, reason;
  std::vector<std::string> tables;
  bool allow_wal = false, adopt = false, allow_identity_full = false, no_backup = false;
  std::optional<std::uint64_t> jobs;
};

enum class Purpose {
  run,   // all that a replication needs must be there
  find,  // only to find the daemon: source and target may be missing, ${NAME} unset
};

// Reads tidegate.toml in `folder` (or --config, TIDEGATE_CONFIG) if it is there. Relative paths on the
// command line and in the environment are from `folder`, those in the file from the file's own folder; the
// state directory defaults to `folder`/.tidegate/NAME. Throws Usage, or Refused for the pooler's port.
Settings load(const Flags& flags, Environment environment, const std::filesystem::path& folder,
              Purpose purpose);

// The same from a text: what the tests call. `file_name` is what messages and origins name.
Settings settings_from(const Flags& flags, const Environment& environment,
                       const std::filesystem::path& folder, Purpose purpose, const std::string& text,
                       const std::string& file_name);

// [a-z0-9_-]{1,63}: it names a folder, and is the namespace of the pipeline's UUIDs.
bool is_pipeline_name(const std::string& name);

}  // namespace tidegate
