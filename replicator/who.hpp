// Who did it, for the audit.
#pragma once

#include <sys/types.h>

#include <string>

namespace tidegate {

// "name@host"; the number where the user has no name.
std::string who(uid_t user);
std::string who_runs_this();

}  // namespace tidegate
