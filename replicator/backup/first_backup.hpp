// The backup before the first write into a target that has rows already.
#pragma once

#include <stop_token>

#include "replicator/config/settings.hpp"
#include "replicator/control/store.hpp"

namespace tidegate::backup {

// Once per state directory, before anything is written to the target; control.db remembers that it was done,
// or why not. A target that the pipeline has written to already needs none. Throws Refused where it cannot be
// taken, Error.
void before_first_write(const Settings& settings, ControlStore& store, const std::string& reason,
                        std::stop_token stop);

}  // namespace tidegate::backup
