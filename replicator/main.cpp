#include <sys/prctl.h>

#include "replicator/cli/cli.hpp"

int main(int argc, char** argv) {
  // Passwords and rows are in memory: neither a core dump nor another program of this user is to have them.
  prctl(PR_SET_DUMPABLE, 0);
  return tidegate::cli::main_with(argc, argv);
}
