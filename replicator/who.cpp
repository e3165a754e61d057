#include "replicator/who.hpp"

#include <pwd.h>
#include <unistd.h>

#include <array>

namespace tidegate {

std::string who(uid_t user) {
  std::array<char, 4096> space{};
  passwd entry{}, *found = nullptr;
  getpwuid_r(user, &entry, space.data(), space.size(), &found);
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return (found ? std::string(found->pw_name) : std::to_string(user)) + "@" + host.data();
}

std::string who_runs_this() { return who(geteuid()); }

}  // namespace tidegate
