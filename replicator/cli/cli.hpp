// The program: reads the command line, runs the verb, and turns whatever it throws into one sentence and an
// exit code.
#pragma once

namespace tidegate::cli {

int main_with(int argc, char** argv);

}  // namespace tidegate::cli
