#include "capture/sqlite/users_of_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
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

// Ourselves, and the processes that hold the file for us, which are our child's.
bool is_ours(long pid) {
  for (int generation = 0; generation < 3 && pid > 1; ++generation) {
    if (pid == getpid()) return true;
    pid = parent_of(fs::path("/proc") / std::to_string(pid));
  }
  return false;
}

struct Lock {
  long pid = 0, first = 0, last = 0;
};

// A line of /proc/locks: "1: POSIX  ADVISORY  READ  1234 fd:01:5678 1073741826 1073742335".
std::vector<Lock> locks_on(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return {};
  const std::string wanted =
      fmt::format("{:02x}:{:02x}:{}", major(facts.st_dev), minor(facts.st_dev), facts.st_ino);
  std::vector<Lock> found;
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, mode, pid, file, first, last;
    words >> number >> kind >> advisory >> mode >> pid >> file >> first >> last;
    if (kind == "POSIX" && file == wanted)
      found.push_back({number_in(pid), number_in(first), number_in(last)});
  }
  return found;
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

std::vector<FileUser> in_transaction(const std::string& path) {
  constexpr long write_lock = 120, first_read_lock = 123, last_read_lock = 127;  // bytes of the -shm file
  std::map<long, FileUser> users;
  for (const auto& lock : locks_on(path + "-shm")) {
    const bool of_a_transaction = (lock.first <= write_lock && lock.last >= write_lock) ||
                                  (lock.first <= last_read_lock && lock.last >= first_read_lock);
    if (!of_a_transaction || is_ours(lock.pid)) continue;
    users[lock.pid] = {lock.pid, first_line(fs::path("/proc") / std::to_string(lock.pid) / "comm")};
  }
  std::vector<FileUser> found;
  for (auto& [pid, user] : users) found.push_back(std::move(user));
  return found;
}

bool is_locked_by_others(const std::string& path) {
  const auto locks = locks_on(path);
  return std::any_of(locks.begin(), locks.end(), [](const Lock& lock) { return lock.pid != getpid(); });
}

}  // namespace tidegate::capture
