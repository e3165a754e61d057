// The pipelines that this user has run on this machine: one small file each, under XDG_STATE_HOME or
// ~/.local/state.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "replicator/config/environment.hpp"

namespace tidegate {

struct Registered {
  std::string pipeline;
  std::filesystem::path state_dir;
};

class Registry {
 public:
  // Without a home (a service, say) the registry is empty and takes nothing.
  explicit Registry(const Environment& environment);

  // True if it is written down now. A failure is no reason to stop a daemon: it only makes `list` shorter.
  bool add(const Registered& entry) const noexcept;
  void remove(const std::filesystem::path& state_dir) const noexcept;
  std::vector<Registered> entries() const;  // by name; unreadable files are left out

 private:
  std::filesystem::path file_of(const std::filesystem::path& state_dir, const std::string& pipeline) const;
  std::filesystem::path folder_;
};

}  // namespace tidegate
