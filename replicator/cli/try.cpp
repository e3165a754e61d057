// try: hands over to deploy/try.sh, which knows how to start a throw-away target.
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

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
  const std::string script = find_script();
  std::vector<std::string> words = {script};
  if (!invocation.word.empty()) words.push_back(invocation.word);
  if (invocation.flags.config) words.insert(words.end(), {"--config", *invocation.flags.config});
  if (invocation.flags.env_file) words.insert(words.end(), {"--env-file", *invocation.flags.env_file});
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(script.c_str(), arguments.data());
  throw std::runtime_error("start " + script + ": " + std::strerror(errno));
}

}  // namespace tidegate::cli
