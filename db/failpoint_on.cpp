#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

struct Armed {
  std::string name, action = "kill";
  std::atomic<long> passes_left{1};
};

Armed& armed() {
  static Armed it;
  static const bool read = [] {
    const char* text = std::getenv("TIDEGATE_FAILPOINT");
    std::string spec = text ? text : "";
    if (auto at = spec.find('='); at != std::string::npos) {
      it.action = spec.substr(at + 1);
      spec.resize(at);
    }
    if (auto at = spec.find(':'); at != std::string::npos) {
      it.passes_left = std::stol(spec.substr(at + 1));
      spec.resize(at);
    }
    it.name = spec;
    return true;
  }();
  (void)read;
  return it;
}

}  // namespace

void failpoint(const char* name) {
  Armed& it = armed();
  if (it.name != name || --it.passes_left != 0) return;
  if (it.action == "error") throw Error(std::string("failpoint ") + name, "", Advice::reconnect);
  // To this thread: a SIGSTOP to the process may be taken by another one, while this one runs on past its
  // failpoint.
  raise(it.action == "stop" ? SIGSTOP : SIGKILL);
}

}  // namespace tidegate
