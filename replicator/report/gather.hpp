// What a report and a support bundle are made of, from wherever it stands. Changes nothing.
#pragma once

#include <filesystem>
#include <optional>

#include "replicator/config/settings.hpp"
#include "replicator/report/migration_report.hpp"

namespace tidegate::report {

// `status`: of the daemon, or the last that it left. Works without the target. Throws Error where control.db
// cannot be read.
Migration gather(const Settings& settings, const std::filesystem::path& state_dir, const Status& status,
                 bool running);

}  // namespace tidegate::report
