#include "capture/sqlite/users_of_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tidegate::capture {
namespace {

namespace fs = std::filesystem;

long number_in(const std::string& name) {
  long pid = 0;
  auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), pid);
  return failure == std::errc{} && end == name.data() + name.size() ? pid : 0;
}

bool has_open(const fs::path& process, const std::string& path) {
  std::error_code ignored;
  for (fs::directory_iterator fd(process / "fd", ignored), end; fd != end; fd.increment(ignored)) {
    if (fs::read_symlink(fd->path(), ignored) == path) return true;
  }
  return false;
}

std::string first_line(const fs::path& file) {
  std::string line;
  std::ifstream stream(file);
  std::getline(stream, line);
  return line;
}

// The fourth word of /proc/PID/stat, after the program's name in brackets.
long parent_of(const fs::path& process) {
  std::string line = first_line(process / "stat");
  auto after = line.rfind(')');
  if (after == std::string::npos || after + 4 > line.size()) return 0;
  std::string rest = line.substr(after + 4);
  return number_in(rest.substr(0, rest.find(' ')));
}

}  // namespace

std::vector<FileUser> users_of_file(const std::string& path) {
  std::error_code ignored;
  const std::string real = fs::canonical(path, ignored).string();
  std::vector<FileUser> users;
  for (fs::directory_iterator process("/proc", ignored), end; process != end; process.increment(ignored)) {
    long pid = number_in(process->path().filename().string());
    if (pid == 0 || pid == getpid() || parent_of(process->path()) == getpid()) continue;
    if (has_open(process->path(), real)) users.push_back({pid, first_line(process->path() / "comm")});
  }
  std::sort(users.begin(), users.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return users;
}

// A line of /proc/locks: "1: POSIX  ADVISORY  READ  1234 fd:01:5678 1073741826 1073742335".
bool is_locked_by_others(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return false;
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(facts.st_dev), minor(facts.st_dev), facts.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, mode, pid, file;
    words >> number >> kind >> advisory >> mode >> pid >> file;
    if (kind == "POSIX" && file == wanted && number_in(pid) != getpid()) return true;
  }
  return false;
}

}  // namespace tidegate::capture
