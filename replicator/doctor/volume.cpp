#include "replicator/doctor/volume.hpp"

#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <string>

namespace tidegate {
namespace {

namespace fs = std::filesystem;

constexpr int deepest = 8;  // partition, RAID, LVM, LUKS: far fewer in practice

bool has_crypt(const fs::path& device, int depth) {
  std::string uuid;
  std::getline(std::ifstream(device / "dm" / "uuid") >> std::ws, uuid);
  if (uuid.starts_with("CRYPT-")) return true;
  if (depth == deepest) return false;
  std::error_code none;
  for (const auto& below : fs::directory_iterator(device / "slaves", none)) {
    if (has_crypt(below.path(), depth + 1)) return true;
  }
  return false;
}

}  // namespace

std::optional<bool> is_encrypted(dev_t device, const fs::path& sys) {
  const fs::path entry = sys / "dev" / "block" / fmt::format("{}:{}", major(device), minor(device));
  if (!fs::exists(entry)) return std::nullopt;
  return has_crypt(entry, 0);
}

}  // namespace tidegate
