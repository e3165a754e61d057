// A password from whoever runs the program: never from the command line.
#pragma once

#include <string>

namespace tidegate::cli {

// From the terminal without echo, with `prompt` on it; else the first line of standard input. A signal that
// ends the program leaves the terminal as it was. Throws Usage for an empty one, or one of more than 1,024
// bytes.
std::string read_password(const std::string& prompt);

}  // namespace tidegate::cli
