#include "replicator/backup/folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "db/digest.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "replicator/schema/migration_files.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::backup {
namespace {

namespace fs = std::filesystem;

constexpr const char* manifest_name = "manifest.json";
constexpr const char* sums_name = "SHA256SUMS";
constexpr const char* part_suffix = ".part";

[[noreturn]] void fail(const char* what, const fs::path& path) {
  throw Error(fmt::format("{} {}: {}", what, path.string(), std::strerror(errno)), "", Advice::stop);
}

fs::path folder_of(const fs::path& state_dir) {
  return state_dir / "backups";
}

void make_private_folder(const fs::path& path) {
  fs::create_directories(path);
  fs::permissions(path, fs::perms::owner_all);
}

void sync(const fs::path& path) {
  Descriptor file;
  file.number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file.number < 0 || ::fsync(file.number) != 0) fail("cannot write", path);
}

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string sums_of(const fs::path& backup) {
  std::string sums;
  for (const auto& file : files_below(backup)) {
    if (file.filename() != sums_name)
      sums += sha256_of_file(file.string()) + "  " + fs::relative(file, backup).string() + "\n";
  }
  return sums;
}

std::string text_in(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

// Name → sum, as `sha256sum` writes them.
std::map<std::string, std::string> read_sums(const std::string& text) {
  constexpr std::size_t digits = 64, gap = 2;
  std::map<std::string, std::string> sums;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.size() > digits + gap) sums[line.substr(digits + gap)] = line.substr(0, digits);
  }
  return sums;
}

std::string new_id(const fs::path& folder, const std::string& of) {
  const std::string version = schema::version_now();
  const std::string id = version.substr(0, 8) + "T" + version.substr(8) + "Z-" + of;
  std::string free = id;
  for (int n = 2; fs::exists(folder / free); ++n) free = fmt::format("{}-{}", id, n);
  return free;
}

void make_durable(const fs::path& folder) {
  for (const auto& file : files_below(folder)) {
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    sync(file);
  }
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) sync(entry.path());
  }
  sync(folder);
}

}  // namespace

Lock::Lock(const fs::path& state_dir) {
  make_private_folder(folder_of(state_dir));
  const fs::path path = folder_of(state_dir) / "lock";
  file_.number = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file_.number < 0) fail("cannot open", path);
  if (::flock(file_.number, LOCK_EX | LOCK_NB) != 0)
    throw Refused("backup-running", "a backup is being made or restored by another process", "let it end");
}

Draft::Draft(const Lock&, const fs::path& state_dir, const std::string& of) : folder_(folder_of(state_dir)) {
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path().extension() == part_suffix) fs::remove_all(entry.path());
  }
  id_ = new_id(folder_, of);
  part_ = folder_ / (id_ + part_suffix);
  make_private_folder(part_);
}

Draft::~Draft() {
  std::error_code ignored;
  if (!finished_) fs::remove_all(part_, ignored);
}

fs::path Draft::make_folder(const std::string& name) const {
  make_private_folder(part_ / name);
  return part_ / name;
}

Manifest Draft::finish(Manifest manifest) {
  manifest.id = id_;
  for (const auto& file : files_below(part_)) manifest.bytes += fs::file_size(file);
  failpoint("backup-data-there");
  write_file_atomically(part_ / manifest_name, to_json(manifest));
  write_file_atomically(part_ / sums_name, sums_of(part_));
  make_durable(part_);
  failpoint("backup-before-rename");
  fs::rename(part_, folder_ / id_);
  finished_ = true;
  sync(folder_);
  failpoint("backup-after-rename");
  return manifest;
}

std::vector<Listed> backups_in(const fs::path& state_dir) {
  std::vector<Listed> backups;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder_of(state_dir), none)) {
    if (!entry.is_directory() || entry.path().extension() == part_suffix) continue;
    Listed listed{entry.path(), {}, {}};
    try {
      listed.manifest = manifest_from_json(text_in(entry.path() / manifest_name));
    } catch (const std::invalid_argument& failure) {
      listed.manifest.id = entry.path().filename().string();
      listed.fault = failure.what();
    }
    backups.push_back(std::move(listed));
  }
  std::sort(backups.begin(), backups.end(), [](const Listed& a, const Listed& b) { return a.path < b.path; });
  return backups;
}

std::optional<Manifest> newest(const fs::path& state_dir, const std::string& of) {
  std::optional<Manifest> found;
  for (auto& listed : backups_in(state_dir)) {
    const bool later = !found || listed.manifest.taken_at > found->taken_at;
    if (listed.fault.empty() && listed.manifest.of == of && later) found = std::move(listed.manifest);
  }
  return found;
}

Listed backup_named(const fs::path& state_dir, const std::string& id) {
  auto backups = backups_in(state_dir);
  const auto found = id.empty() ? backups.end() - (backups.empty() ? 0 : 1)
                                : std::find_if(backups.begin(), backups.end(),
                                               [&](const Listed& each) { return each.manifest.id == id; });
  if (found == backups.end())
    throw Refused("no-such-backup", id.empty() ? "there is no backup" : "there is no backup " + id,
                  "`tidegate backup list` names them");
  return *found;
}

std::vector<std::string> faults_of(const fs::path& backup) {
  auto sums = read_sums(text_in(backup / sums_name));
  std::vector<std::string> faults;
  if (sums.empty()) faults.push_back(std::string(sums_name) + " is missing or empty");
  for (const auto& file : files_below(backup)) {
    const std::string name = fs::relative(file, backup).string();
    if (name == sums_name) continue;
    const auto known = sums.extract(name);
    if (known.empty())
      faults.push_back(name + " is not of the backup");
    else if (known.mapped() != sha256_of_file(file.string()))
      faults.push_back(name + " is not as it was");
  }
  for (const auto& [name, sum] : sums) faults.push_back(name + " is missing");
  return faults;
}

}  // namespace tidegate::backup
