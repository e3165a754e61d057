// A status as Prometheus reads it (text exposition 0.0.4). Names begin with tidegate_ and are a promise.
#pragma once

#include <string>

#include "replicator/control/status.hpp"

namespace tidegate {

std::string metrics_text(const Status& status);

}  // namespace tidegate
