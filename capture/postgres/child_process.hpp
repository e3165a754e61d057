// Runs a program to its end and takes what it says.
#pragma once

#include <string>
#include <vector>

namespace tidegate::capture {

struct ChildOutcome {
  int status = 0;  // exit code; 128 + the signal's number where one ended it
  std::string out, err;
};

// `arguments[0]` is the program's path. `variables` ("NAME=value") replace those of the same name in our own
// environment; a name alone takes it away. Nothing comes in by standard input. Of err the first 64 KiB are
// kept. Throws Error where the program cannot be started, or says more than `most` bytes.
ChildOutcome run_child(const std::vector<std::string>& arguments, const std::vector<std::string>& variables,
                       std::size_t most);

}  // namespace tidegate::capture
