// What several verbs ask before they do anything.
#pragma once

#include <stop_token>
#include <string>

#include "replicator/cli/invocation.hpp"

namespace tidegate::cli {

// From standard input. No answer, since the end of input or a stop came first, is a no. In the daemon the
// signals are blocked, so that only the token tells of Ctrl-C.
bool asked_yes(const std::string& question, std::stop_token stop = {});

// Settings whose source is named and, if it is a file, can be read here. Throws Usage or Refused.
Settings settings_with_source(const Invocation& invocation);

}  // namespace tidegate::cli
