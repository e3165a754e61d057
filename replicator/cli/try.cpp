// try: hands over to deploy/try.sh, which knows how to start a throw-away target.
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "replicator/cli/verbs.hpp"
#include "replicator/failure.hpp"

namespace tidegate::cli {
namespace {

namespace fs = std::filesystem;

// Beside the installed program (PREFIX/share/tidegate) or in the source tree that it was built in.
fs::path find_script() {
  fs::path program = fs::read_symlink("/proc/self/exe").parent_path();
  for (const char* place : {"../share/tidegate/deploy/try.sh", "../../deploy/try.sh"}) {
    if (fs::exists(program / place)) return fs::canonical(program / place);
  }
  throw Coded<Refused>("no-try-script",
                       "the throw-away target's script deploy/try.sh is not beside this program",
                       "run deploy/try.sh from the source tree");
}

}  // namespace

int try_out(const Invocation& invocation) {
  if (invocation.flags.config) {
    throw Coded<Refused>("not-in-this-release", "try --config is not in this release yet",
                         "rehearse a plain copy with `tidegate try DB`");
  }
  std::string script = find_script(), database = invocation.word;
  char* words[] = {script.data(), database.empty() ? nullptr : database.data(), nullptr};
  execv(script.c_str(), words);
  throw std::runtime_error("start " + script + ": " + std::strerror(errno));
}

}  // namespace tidegate::cli
