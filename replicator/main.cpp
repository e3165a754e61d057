#include "replicator/cli/cli.hpp"

int main(int argc, char** argv) {
  return tidegate::cli::main_with(argc, argv);
}
