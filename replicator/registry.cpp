#include "replicator/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "replicator/state_dir.hpp"

namespace tidegate {

namespace fs = std::filesystem;

namespace {

std::string value_of(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second.value;
}

fs::path folder_for(const Environment& environment) {
  const fs::path state = value_of(environment, "XDG_STATE_HOME");
  if (state.is_absolute()) return state / "tidegate" / "pipelines";
  const fs::path home = value_of(environment, "HOME");
  return home.is_absolute() ? home / ".local" / "state" / "tidegate" / "pipelines" : fs::path();
}

// FNV-1a: tells two pipelines of one name apart, the same in every release.
std::uint64_t hash_of(const std::string& text) {
  std::uint64_t hash = 14695981039346656037u;
  for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211u;
  return hash;
}

// First line the pipeline, second the state directory.
bool read_entry(const fs::path& file, Registered& into) {
  std::ifstream stream(file);
  std::string state_dir;
  if (!std::getline(stream, into.pipeline) || !std::getline(stream, state_dir)) return false;
  into.state_dir = state_dir;
  return into.state_dir.is_absolute();
}

}  // namespace

Registry::Registry(const Environment& environment) : folder_(folder_for(environment)) {}

fs::path Registry::file_of(const fs::path& state_dir, const std::string& pipeline) const {
  return folder_ / fmt::format("{}-{:08x}", pipeline, hash_of(state_dir.string()) & 0xffffffff);
}

bool Registry::add(const Registered& entry) const noexcept {
  if (folder_.empty()) return false;
  try {
    fs::create_directories(folder_);
    write_file_atomically(file_of(entry.state_dir, entry.pipeline),
                          entry.pipeline + "\n" + entry.state_dir.string() + "\n");
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void Registry::remove(const fs::path& state_dir) const noexcept {
  try {
    for (const auto& file : fs::directory_iterator(folder_)) {
      Registered entry;
      if (read_entry(file.path(), entry) && entry.state_dir == state_dir) fs::remove(file.path());
    }
  } catch (const std::exception&) {  // as in add()
  }
}

std::vector<Registered> Registry::entries() const {
  std::vector<Registered> found;
  std::error_code failure;
  if (folder_.empty()) return found;
  for (const auto& file : fs::directory_iterator(folder_, failure)) {
    Registered entry;
    if (file.path().extension() != ".new" && read_entry(file.path(), entry))
      found.push_back(std::move(entry));
  }
  std::sort(found.begin(), found.end(), [](const Registered& a, const Registered& b) {
    return std::tie(a.pipeline, a.state_dir) < std::tie(b.pipeline, b.state_dir);
  });
  return found;
}

}  // namespace tidegate
