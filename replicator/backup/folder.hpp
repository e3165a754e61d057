// The folder of a pipeline's backups; README.md has its layout.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "db/process.hpp"
#include "replicator/backup/manifest.hpp"

namespace tidegate::backup {

// Held while a backup is made or restored. Makes the folder (0700). Throws Refused where another process
// holds it.
class Lock {
 public:
  explicit Lock(const std::filesystem::path& state_dir);

 private:
  Descriptor file_;
};

// A backup that is being made. Its folder goes with it, unless it was finished.
class Draft {
 public:
  // Removes what earlier drafts left. `lock` must be held meanwhile. Throws Error.
  Draft(const Lock& lock, const std::filesystem::path& state_dir, const std::string& of);
  ~Draft();
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  const std::string& id() const { return id_; }
  std::filesystem::path data() const { return part_ / "data"; }  // to be made by the caller
  std::filesystem::path file(const std::string& name) const { return part_ / name; }
  std::filesystem::path make_folder(const std::string& name) const;  // 0700
  // Durable when it returns, and then it is a backup. Fills in id and bytes. Throws Error.
  Manifest finish(Manifest manifest);

 private:
  std::filesystem::path folder_, part_;
  std::string id_;
  bool finished_ = false;
};

struct Listed {
  std::filesystem::path path;
  Manifest manifest;  // of one that cannot be read: the id alone
  std::string fault;  // empty: the manifest can be read
};
// Whole ones, oldest first.
std::vector<Listed> backups_in(const std::filesystem::path& state_dir);
// The newest of that end; absent where there is none.
std::optional<Manifest> newest(const std::filesystem::path& state_dir, const std::string& of);
// By its id; empty: the newest one. Throws Refused.
Listed backup_named(const std::filesystem::path& state_dir, const std::string& id);

// What is wrong with its files, each named; empty where all are as they were. Reads everything.
std::vector<std::string> faults_of(const std::filesystem::path& backup);

}  // namespace tidegate::backup
