// The state directory of one pipeline on this machine, and the lock that lets one daemon in.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tidegate {

// Where things lie in a state directory.
std::filesystem::path api_socket(const std::filesystem::path& state_dir);

struct LockHolder {
  long pid = 0;
  std::string host, pipeline;
};

// The daemon that holds the directory now; absent where none does. Takes no lock, so it disturbs nobody.
std::optional<LockHolder> lock_holder(const std::filesystem::path& state_dir);

// Owned by the daemon for as long as it runs. The lock is the kernel's (an open file description lock): it
// goes with the process, however that ends, and is not passed on to children.
class StateDir {
 public:
  // Makes the directory (0700; parents as the umask has them) and takes the lock. Throws Refused if another
  // daemon holds it (naming its pid), if the directory belongs to another pipeline, or if it is another
  // user's.
  StateDir(std::filesystem::path path, std::string pipeline);
  ~StateDir();
  StateDir(StateDir&& other) noexcept;
  StateDir& operator=(StateDir&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
  std::string pipeline_;
  int lock_ = -1;
};

// Writes the whole text to a new file (0600) and renames it over `file`, durably: after a crash there is the
// old text or the new one. Throws Error.
void write_file_atomically(const std::filesystem::path& file, const std::string& text);

}  // namespace tidegate
