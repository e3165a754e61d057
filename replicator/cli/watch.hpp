// `status --watch`, for the verb and for `run` in a terminal.
#pragma once

#include <functional>
#include <optional>

#include "replicator/control/status.hpp"

namespace tidegate::cli {

// Gives the newest status; absent ends the watch.
using Sample = std::function<std::optional<Status>()>;

// In a terminal draws in place once a second, else prints a line every `quiet_seconds`. Returns when `sample`
// gives nothing more, or the status has ended (ended_at is set).
void watch(const Sample& sample, int quiet_seconds = 10);

// Once, as it suits stdout: a terminal's width and colours (NO_COLOR and TERM=dumb are kept), else 80 columns
// plain.
void print_status(const Status& status);

}  // namespace tidegate::cli
